"""Measures tokens under the names that vLLM gave them, where the meaning is the same; dashboards for it work here."""

import prometheus_client as prometheus

from apps.serving.admission import Admission

FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
NEXT = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)  # seconds
LABEL = "model_name"


class Meter:
    """What the answers of one model take. Any thread may call."""

    def __init__(self, registry: prometheus.CollectorRegistry, admission: Admission, model: str) -> None:
        self._first, self._next = (
            prometheus.Histogram(name, text, (LABEL,), buckets=buckets, registry=registry).labels(model)
            for name, text, buckets in (
                ("vllm:time_to_first_token_seconds", "From arrival to the first token.", FIRST),
                ("vllm:inter_token_latency_seconds", "From one token of an answer to the next.", NEXT),
            )
        )
        self._prompt, self._generated = (
            prometheus.Counter(name, text, (LABEL,), registry=registry).labels(model)
            for name, text in (
                ("vllm:prompt_tokens", "Tokens of prompts that were read."),
                ("vllm:generation_tokens", "Tokens that were generated."),
            )
        )
        gauges = {
            "vllm:num_requests_running": ("Requests in the batch.", lambda: admission.in_flight),
            "vllm:num_requests_waiting": ("Requests that wait to join it.", lambda: admission.waiting),
            "inference_batch_tokens": ("Tokens that have room in the batch.", lambda: admission.held),
            "inference_batch_tokens_limit": ("Tokens that may have it.", lambda: admission.capacity),
        }
        for name, (text, function) in gauges.items():
            prometheus.Gauge(name, text, (LABEL,), registry=registry).labels(model).set_function(function)

    def first(self, prompt_tokens: int, seconds: float) -> None:
        """Count an answer's first token, `seconds` after its request arrived."""
        self._prompt.inc(prompt_tokens)
        self._generated.inc()
        self._first.observe(seconds)

    def next(self, seconds: float) -> None:
        """Count a token that came `seconds` after the one before it."""
        self._generated.inc()
        self._next.observe(seconds)
