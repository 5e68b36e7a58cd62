"""The generator's own limits: when its figures do not describe the service."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.records import SHORTEST_TICK
from loadgen.engine.run import Recorded
from loadgen.statistics.percentiles import distribution
from loadgen.statistics.table import Table
from loadgen.targets.outcome import Outcome

BUSY_SHARE = 0.9
LATE_SECONDS, LATE_SHARE = 0.002, 0.1
STARTED_SHARE = 0.99


def generator(recorded: Recorded, table: Table, texts: Sequence[str | None]) -> dict[str, Any]:
    """Return `generator` of the JSON document. `table` has the requests of all phases but warm-ups.

    It is saturated if in any second a worker used BUSY_SHARE of its core, or more than one request and over 1% of them
    were later than LATE_SECONDS and LATE_SHARE of the service time's median, or less than STARTED_SHARE of what was due
    was started, or a limit of this machine came up, or a worker failed.
    """
    sent = table.sent[~np.isnan(table.sent)]
    delays = sent - table.intended[~np.isnan(table.sent)]
    delay = distribution(delays)
    due = _due(recorded, table)
    workers = _workers(recorded)
    local = _local(table, texts)
    reasons = [
        *_busy(workers),
        *_late(recorded, table, delays),
        *_not_started(recorded, due, len(sent)),
        *(f"{entry['requests']:,} requests failed on this machine: {entry['detail']}." for entry in local),
        *(f"The generator failed: {problem}." for problem in recorded.problems),
    ]
    return {
        "saturated": bool(reasons),
        "reasons": reasons,
        "workers": workers,
        "cpu_seconds": recorded.cpu_seconds,
        "delay_seconds": delay,
        "due": due,
        "started": len(sent),
        "local_errors": local,
    }


def one_pod_warning(summary: Mapping[str, Any], ready_pods: int | None) -> str | None:
    """Return a warning if one pod answered everything though several were ready, or None.

    ready_pods: ready pods in the cluster's view; None if that is unknown.
    """
    pods = {entry["pod"] for entry in summary["served_by"]}
    if ready_pods is None or ready_pods < 2 or len(pods) != 1:
        return None
    return (
        f"All answers came from one pod ({pods.pop() or 'unnamed'}), though {ready_pods} are ready. A port-forward "
        "always leads to the same pod, and so does a connection that is kept: use the NodePort or an address of the "
        "Service, and let connections be renewed."
    )


def _workers(recorded: Recorded) -> list[dict[str, Any]]:
    ticks = recorded.ticks
    parts = [ticks[ticks["worker"] == worker] for worker in range(recorded.plan.workers)]
    return [
        {"worker": worker, "cpu_seconds": float(rows["cpu"].sum())} | _busiest(rows)
        for worker, rows in enumerate(parts)
    ]


def _busiest(ticks: np.ndarray) -> dict[str, Any]:
    full = ticks[ticks["length"] >= SHORTEST_TICK]
    if not len(full):
        return {"cpu_share_max": None, "busiest_second": None}
    shares = full["cpu"] / full["length"]
    return {"cpu_share_max": float(shares.max()), "busiest_second": int(full["second"][shares.argmax()])}


def _busy(workers: Sequence[Mapping[str, Any]]) -> list[str]:
    busy = [worker for worker in workers if (worker["cpu_share_max"] or 0.0) >= BUSY_SHARE]
    if not busy:
        return []
    worst = max(busy, key=lambda worker: worker["cpu_share_max"])
    return [
        f"{len(busy)} of {len(workers)} processes of the generator used at least {BUSY_SHARE:.0%} of a core, the "
        f"busiest {worst['cpu_share_max']:.0%} in second {worst['busiest_second']}: the service could have answered "
        "more. Send with more processes or from more machines."
    ]


def _late(recorded: Recorded, table: Table, delays: NDArray[np.float64]) -> list[str]:
    service = distribution((table.end - table.sent)[table.succeeded])
    limit = max(LATE_SECONDS, LATE_SHARE * service["p50"] if service else 0.0)
    late = delays > limit
    # Below 100 requests p99 is the maximum, and one late request says nothing about the others.
    if late.sum() <= max(1, len(delays) // 100):
        return []
    waited = table.no_connection[~np.isnan(table.sent)] > limit / 2
    text = f"{late.sum():,} of {len(delays):,} requests were sent more than {limit * 1000:.1f} ms late: "
    if waited.sum() > late.sum() / 2:
        return [f"{text}they waited for a free connection. Allow more than {recorded.plan.concurrency:,} at once."]
    return [f"{text}the generator's event loop was late. Give it a free core, or a machine of its own."]


def _due(recorded: Recorded, table: Table) -> int:
    """Return the number of requests due outside of warm-ups; a worker that died left no records of its own."""
    plan = recorded.plan
    if plan.arrivals is None:
        return len(table)
    last = recorded.sending_seconds
    spans = [
        (start, min(start + phase.seconds, last))
        for phase, start in zip(plan.phases, plan.starts, strict=True)
        if not phase.warmup
    ]
    return sum(int(np.diff(np.searchsorted(plan.arrivals, span))[0]) for span in spans)


def _not_started(recorded: Recorded, due: int, started: int) -> list[str]:
    if started >= STARTED_SHARE * due:
        return []
    return [
        f"Only {started:,} of {due:,} due requests were started, less than {STARTED_SHARE:.0%}. Allow more than "
        f"{recorded.plan.max_in_flight:,} in flight, or lower the rate."
    ]


def _local(table: Table, texts: Sequence[str | None]) -> list[dict[str, Any]]:
    details, counts = np.unique(table.detail[table.has(Outcome.LOCAL)], return_counts=True)
    return [
        {"detail": texts[detail], "requests": count}
        for detail, count in zip(details.tolist(), counts.tolist(), strict=True)
    ]
