"""Counts requests and keeps recent latencies, for /metrics-simple."""

from collections import Counter, deque
from math import ceil

WINDOW = 4096  # requests


class Metrics:
    """Counts since the start, and the latencies of the last WINDOW requests. Used from one thread."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self._seconds: deque[float] = deque(maxlen=WINDOW)

    def observe(self, status: int, seconds: float) -> None:
        """Count one answered request of the service's own endpoints."""
        self.statuses[status] += 1
        self._seconds.append(seconds)

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


def _summary(ordered: list[float]) -> dict:
    count = len(ordered)
    ranks = {f"p{percent}": ceil(percent / 100 * count) - 1 for percent in (50, 95, 99)}
    quantiles = {name: ordered[rank] if count else None for name, rank in ranks.items()}
    mean = sum(ordered) / count if count else None
    return {"window": count, "mean": mean, **quantiles, "max": ordered[-1] if count else None}
