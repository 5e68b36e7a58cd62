"""What is measured, under the names of /metrics (Prometheus), and the summary of it that /metrics-simple gives.

Requests are those of the service's own endpoints: probes and scrapes would only dilute them.
"""

from collections import Counter, deque
from collections.abc import Iterator
from math import ceil

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.identity import Identity
from apps.serving.machine import cpu

WINDOW = 4096  # requests that /metrics-simple looks back at
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

prometheus.disable_created_metrics()  # a second series for each, which no query here needs


class Metrics:
    """All of a process's measurements. Used from the event loop's thread only."""

    def __init__(self, admission: Admission, budget: ByteBudget) -> None:
        self.registry = prometheus.CollectorRegistry()
        self.statuses: Counter[int] = Counter()
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        own = {"registry": self.registry}
        labels = ("route", "method", "status")
        self._requests = prometheus.Counter("inference_requests", "Answered requests.", labels, **own)
        self._durations = prometheus.Histogram(
            "inference_request_duration_seconds", "Arrival to answer.", ("route",), buckets=SECONDS, **own
        )
        self._queue = prometheus.Histogram(
            "inference_queue_seconds", "Waiting for a place to compute.", buckets=SECONDS, **own
        )
        self._compute = prometheus.Histogram(
            "inference_compute_seconds", "Computing, artificial load included.", buckets=SECONDS, **own
        )
        self._model = prometheus.Info("inference_model", "The model that answers.", **own)
        gauges = {
            "inference_in_flight": ("Requests that compute.", lambda: admission.in_flight),
            "inference_queue_depth": ("Requests that wait for a place.", lambda: admission.waiting),
            "inference_saturation": (
                "What computes or waits, as a share of what may compute; from 1 on requests wait.",
                lambda: admission.saturation,
            ),
            "inference_body_bytes": ("Bytes of bodies under way, and of answers not read.", lambda: budget.held),
            "inference_body_bytes_limit": ("Bytes that they may have.", lambda: budget.limit),
        }
        for name, (text, function) in gauges.items():
            prometheus.Gauge(name, text, **own).set_function(function)
        prometheus.ProcessCollector(**own)
        self.registry.register(ThrottlingCollector())
        self.registry.register(DroppedCollector(budget))

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.statuses[status] += 1
        self._seconds.append(seconds)
        self._requests.labels(route, method, status).inc()
        self._durations.labels(route).observe(seconds)

    def observe_compute(self, queue_seconds: float, compute_seconds: float) -> None:
        """Count one computation."""
        self._queue.observe(queue_seconds)
        self._compute.observe(compute_seconds)

    def model(self, identity: Identity) -> None:
        """Tell which model answers."""
        known = {"name": identity.name, "version": identity.version, "sha256": identity.sha256 or ""}
        self._model.info(known)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return Prometheus' text and its content type, in the format that `accept` asks for."""
        try:
            return self._encoded(accept.replace('"', ""))
        except TypeError:  # a version that is not numbers: the library compares it with numbers
            return self._encoded("")

    def simple(self) -> dict:
        """Counts and latency in seconds (nearest rank over the last WINDOW requests; None without any)."""
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
    """How many clients the byte budget has given up."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the one count."""
        text = "Bodies and unread answers given up for want of inference_body_bytes."
        yield CounterMetricFamily("inference_bodies_dropped", text, self._budget.dropped)


class ThrottlingCollector:
    """How often and how long the pod's CPU limit held the process back: latency that no code explains."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give what the cgroup counts, as cAdvisor names it; nothing where there is no limit."""
        counts = cpu.throttling()
        for name, key in (("periods", "periods"), ("throttled_periods", "throttled"), ("throttled_seconds", "seconds")):
            if counts:
                yield CounterMetricFamily(f"inference_cpu_cfs_{name}", f"Of the CPU limit: {name}.", counts[key])


def _summary(ordered: list[float]) -> dict:
    count = len(ordered)
    ranks = {f"p{percent}": ceil(percent / 100 * count) - 1 for percent in (50, 95, 99)}
    quantiles = {name: ordered[rank] if count else None for name, rank in ranks.items()}
    mean = sum(ordered) / count if count else None
    return {"window": count, "mean": mean, **quantiles, "max": ordered[-1] if count else None}
