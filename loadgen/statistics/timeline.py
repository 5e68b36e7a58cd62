"""The run second by second: requests by the second in which they were due, answers by that in which they arrived."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.run import Recorded
from loadgen.outcome import Outcome
from loadgen.statistics.percentiles import by_group
from loadgen.statistics.table import Table


def timeline(table: Table, recorded: Recorded) -> dict[str, list[Any]]:
    """Return lists of equal length; percentiles and means are in seconds, None where nothing was due or arrived."""
    plan = recorded.plan
    count = math.ceil(max(recorded.sending_seconds, float(table.end.max(initial=0.0))))
    second = np.minimum(table.intended, max(count - 1, 0)).astype(np.int32)
    due = second if plan.arrivals is None else plan.arrivals[plan.arrivals <= recorded.sending_seconds].astype(np.int32)
    sent = ~np.isnan(table.sent)
    judged = ~table.has(Outcome.INTERRUPTED, Outcome.LOCAL)

    def per_second(seconds: NDArray[np.int32]) -> list[int]:
        return np.bincount(np.clip(seconds, 0, count - 1), minlength=count).tolist() if count else []

    def percentiles(seconds: NDArray[np.float64], rows: NDArray[np.bool_], *percents: int) -> dict[int, Any]:
        return by_group(second[rows], seconds[rows], percents, count)

    arrived = table.end[table.succeeded].astype(np.int32)
    taken = (table.end - table.sent)[table.succeeded]
    totals = np.bincount(arrived, taken, minlength=count).tolist()
    begun, ended = (np.cumsum(per_second(times[sent].astype(np.int32))) for times in (table.sent, table.end))
    response = percentiles(table.response(plan.timeout_seconds), judged, 50, 90, 99)
    service = percentiles(table.service(plan.timeout_seconds), judged & sent, 50, 99)
    return {
        "second": list(range(count)),
        "phase": [_phase(number, recorded) for number in range(count)],
        "due": per_second(due),
        "started": per_second(second[sent]),
        "succeeded": per_second(second[table.succeeded]),
        "failed": per_second(second[table.failed]),
        "dropped": per_second(second[table.has(Outcome.DROPPED)]),
        "in_flight": (begun - ended).tolist(),
        **{f"response_p{percent}": figures for percent, figures in response.items()},
        **{f"service_p{percent}": figures for percent, figures in service.items()},
        "answered": (answered := per_second(arrived)),
        "answered_service_mean": [total / n if n else None for total, n in zip(totals, answered, strict=True)],
    }


def answered_by(table: Table, seconds: int, texts: Sequence[str | None]) -> list[dict[str, Any]]:
    """Return each pod's successes, by the second in which they arrived; pod is None for those that tell no name."""
    pods, arrived = table.pod[table.succeeded], table.end[table.succeeded].astype(np.int32)
    return [
        {"pod": texts[pod], "answered": np.bincount(arrived[pods == pod], minlength=seconds).tolist()}
        for pod in np.unique(pods).tolist()
    ]


def _phase(second: int, recorded: Recorded) -> str:
    plan = recorded.plan
    if second >= recorded.sending_seconds:
        return "drain"
    return [phase.name for phase, start in zip(plan.phases, plan.starts, strict=True) if start <= second][-1]
