"""Measures tokens under vLLM's metric names where the meaning is the same, so that dashboards for vLLM work here."""

import prometheus_client as prometheus

from apps.serving.admission import Admission

FIRST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
NEXT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)  # seconds
LABEL = "model_name"


class TokenMeter:
    """Counts and times the tokens of one model's answers. Any thread may call.

    The metrics appear in a registry once `register` was called.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        first = _histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.", FIRST_BUCKETS)
        next_ = _histogram("vllm:inter_token_latency_seconds", "From one token of an answer to the next.", NEXT_BUCKETS)
        prompt = prometheus.Counter("vllm:prompt_tokens", "Tokens of prompts.", (LABEL,), registry=None)
        generated = prometheus.Counter("vllm:generation_tokens", "Tokens of answers.", (LABEL,), registry=None)
        self._collectors = (first, next_, prompt, generated)
        self._first, self._next = first.labels(model), next_.labels(model)
        self._prompt, self._generated = prompt.labels(model), generated.labels(model)

    def register(self, registry: prometheus.CollectorRegistry, admission: Admission) -> None:
        """Add the metrics to `registry`, and gauges of `admission`."""
        for collector in self._collectors:
            registry.register(collector)
        for name, text, function in (
            ("vllm:num_requests_running", "Requests in the batch.", lambda: admission.in_flight),
            ("vllm:num_requests_waiting", "Requests that wait to join the batch.", lambda: admission.waiting),
            ("inference_batch_tokens", "Tokens reserved in the batch.", lambda: admission.held),
            ("inference_batch_tokens_limit", "Limit of inference_batch_tokens.", lambda: admission.capacity),
        ):
            prometheus.Gauge(name, text, (LABEL,), registry=registry).labels(self._model).set_function(function)

    def first(self, prompt_tokens: int, seconds: float) -> None:
        """Count an answer's first token, which came `seconds` after its request arrived."""
        self._prompt.inc(prompt_tokens)
        self._generated.inc()
        self._first.observe(seconds)

    def next(self, seconds: float) -> None:
        """Count a token that came `seconds` after the one before it."""
        self._generated.inc()
        self._next.observe(seconds)


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> prometheus.Histogram:
    return prometheus.Histogram(name, text, (LABEL,), buckets=buckets, registry=None)
