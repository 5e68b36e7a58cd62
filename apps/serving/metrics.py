"""Metrics: for Prometheus under the names of /metrics, and as the summary of /metrics-simple.

Only requests to the service's own endpoints count: probes and scrapes would distort rates and latencies.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.identity import Identity
from apps.serving.machine import cpu
from apps.serving.machine.cgroups import CGROUPS, PROC
from apps.serving.machine.memory import memory_limit

WINDOW = 4096  # latest requests that /metrics-simple summarises
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds

# Unless a scraper asks for no escaping, as Prometheus 3 does, the library writes `vllm_…` for `vllm:…` in OpenMetrics.
MEDIA_TYPES = re.compile("application/openmetrics-text|text/plain")

# Without this, each counter has a second series with its time of creation.
prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it without annotations


class Metrics:
    """All metrics of a process. Not thread-safe: call it from the event loop.

    `cgroups` and `proc` are the folders of the kernel's files with the limits of memory and CPU.
    """

    def __init__(self, admission: Admission, budget: ByteBudget, cgroups: Path = CGROUPS, proc: Path = PROC) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        self.statuses: Counter[int] = Counter()
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        labels = ("route", "method", "status")
        self._requests = prometheus.Counter("inference_requests", "Answered requests.", labels, registry=registry)
        self._durations = prometheus.Histogram(
            "inference_request_duration_seconds", "Arrival to answer.", ("route",), buckets=BUCKETS, registry=registry
        )
        self._queue = prometheus.Histogram(
            "inference_queue_seconds", "Waiting for a place to compute.", buckets=BUCKETS, registry=registry
        )
        self._compute = prometheus.Histogram(
            "inference_compute_seconds", "Computing, artificial load included.", buckets=BUCKETS, registry=registry
        )
        self._model = prometheus.Info("inference_model", "The model that answers.", registry=registry)
        gauges = {
            "inference_in_flight": ("Requests that compute.", lambda: admission.in_flight),
            "inference_queue_depth": ("Requests that wait for a place.", lambda: admission.waiting),
            "inference_saturation": (
                "Load as a share of the capacity, waiting requests included; from 1 on, requests wait.",
                lambda: admission.saturation,
            ),
            "inference_body_bytes": ("Bytes of bodies under way, and of unread answers.", lambda: budget.held),
            "inference_body_bytes_limit": ("Limit of inference_body_bytes.", lambda: budget.limit),
        }
        for name, (text, function) in gauges.items():
            prometheus.Gauge(name, text, registry=registry).set_function(function)
        if (limit := memory_limit(cgroups, proc)) is not None:
            gauge = prometheus.Gauge("inference_memory_limit_bytes", "Memory limit of the pod.", registry=registry)
            gauge.set(limit)
        prometheus.ProcessCollector(registry=registry)
        registry.register(ThrottlingCollector(cgroups, proc))
        registry.register(DroppedCollector(budget))

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record one answered request."""
        self.statuses[status] += 1
        self._seconds.append(seconds)
        self._requests.labels(route, method, status).inc()
        self._durations.labels(route).observe(seconds)

    def observe_compute(self, queue_seconds: float, compute_seconds: float) -> None:
        """Record one computation."""
        self._queue.observe(queue_seconds)
        self._compute.observe(compute_seconds)

    def model(self, identity: Identity) -> None:
        """Set the labels of the model that answers."""
        self._model.info({"name": identity.name, "version": identity.version, "sha256": identity.sha256 or ""})

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, in the format that the Accept header asks for."""
        try:
            return self._encoded(MEDIA_TYPES.sub(r"\g<0>;escaping=allow-utf-8", accept.replace('"', "")))
        except TypeError:  # raised by the library for a version that is not a number
            return self._encoded("")

    def simple(self) -> dict[str, Any]:
        """Return counts, and latencies in seconds (nearest rank over the latest WINDOW requests; None without any)."""
        total = self.statuses.total()
        errors = sum(count for status, count in self.statuses.items() if status >= 400)
        return {
            "requests": total,
            "errors": errors,
            "by_status": {str(status): count for status, count in sorted(self.statuses.items())},
            "latency_seconds": _summary(sorted(self._seconds)),
        }

    def _encoded(self, accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class DroppedCollector:
    """Counts the bodies and answers that the byte budget has dropped."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counter."""
        text = "Bodies and unread answers dropped because of inference_body_bytes_limit."
        yield CounterMetricFamily("inference_bodies_dropped", text, self._budget.dropped)


class ThrottlingCollector:
    """Counts how often and how long the CPU limit throttled the process: latency that no code explains."""

    def __init__(self, cgroups: Path, proc: Path) -> None:
        self._cgroups, self._proc = cgroups, proc

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the cgroup's counters under cAdvisor's names; nothing without a limit."""
        counts = cpu.throttling(self._cgroups, self._proc)
        for name, key in (("periods", "periods"), ("throttled_periods", "throttled"), ("throttled_seconds", "seconds")):
            if counts:
                yield CounterMetricFamily(
                    f"inference_cpu_cfs_{name}", f"{name.replace('_', ' ').capitalize()} of the CPU limit.", counts[key]
                )


def _summary(latencies: list[float]) -> dict[str, float | None]:
    """Summarise sorted latencies."""
    count = len(latencies)
    ranks = {f"p{percent}": ceil(percent / 100 * count) - 1 for percent in (50, 95, 99)}
    quantiles = {name: latencies[rank] if count else None for name, rank in ranks.items()}
    mean = sum(latencies) / count if count else None
    return {"window": count, "mean": mean, **quantiles, "max": latencies[-1] if count else None}
