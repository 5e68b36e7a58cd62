"""When the autoscaler synced, as far as it shows: a sync that changes nothing in the HPA's status leaves no trace.

The next sync follows one period after the last one has ended (`NewDefaultHPARateLimiter`), aligned to nothing. So syncs
that were seen say when those between them, and around them, were.
"""

from dataclasses import dataclass
from itertools import pairwise

from loadgen.cluster.observation import Hpa, Observation

LATENCY_SECONDS = 0.02  # typically from a sync's reads to the arrival of the status that it wrote
LONGEST_SYNC_SECONDS = 0.5


@dataclass(frozen=True)
class Sync:
    """One sync at `t`. `status` is what it wrote; for one that wrote nothing, what stood there, and `seen` is false."""

    t: float
    seen: bool
    status: Hpa


def infer(observation: Observation) -> list[Sync]:
    """All syncs from the first that was seen to the end of what was observed; [] if none was seen."""
    period = observation.controller.sync_seconds
    observed_syncs = [
        Sync(after.t - LATENCY_SECONDS, True, after)
        for before, after in pairwise(observation.hpa)
        if _status(before) != _status(after)
    ]
    if not observed_syncs:
        return []
    first = observation.hpa[0]
    return [
        *_before(observed_syncs[0].t, first.t, period, first),
        *(sync for earlier, later in pairwise(observed_syncs) for sync in (earlier, *_between(earlier, later, period))),
        observed_syncs[-1],
        *_after(observed_syncs[-1], _end(observation), period),
    ]


def _status(hpa: Hpa) -> object:
    """What only the controller writes."""
    conditions = [(c.type, c.status, c.reason, c.message) for c in hpa.conditions]
    replicas = (hpa.current_replicas, hpa.desired_replicas, hpa.last_scale_time)
    return (*replicas, hpa.utilization, hpa.average_milli, conditions)


def _before(t: float, start: float, period: float, status: Hpa) -> list[Sync]:
    count = int((t - start) / period)
    return [Sync(t - period * (count - n), False, status) for n in range(count)]


def _between(earlier: Sync, later: Sync, period: float) -> list[Sync]:
    """Each period is a little longer than `period`: by as long as a sync takes."""
    elapsed = later.t - earlier.t
    count = max(1, int(elapsed / period + LONGEST_SYNC_SECONDS / period))
    return [Sync(earlier.t + elapsed / count * n, False, earlier.status) for n in range(1, count)]


def _after(last: Sync, end: float, period: float) -> list[Sync]:
    count = int((end - last.t) / (period + LATENCY_SECONDS))
    return [Sync(last.t + (period + LATENCY_SECONDS) * n, False, last.status) for n in range(1, count + 1)]


def _end(observation: Observation) -> float:
    """When the last object or sample arrived."""
    arrivals = [r.t for records in (observation.hpa, observation.deployment, observation.samples) for r in records]
    return max(arrivals)
