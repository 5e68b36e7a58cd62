"""The run second by second: requests by the second in which they were due, answers by that in which they arrived."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.run import Recorded
from loadgen.statistics.percentiles import by_group
from loadgen.statistics.table import Table
from loadgen.targets.outcome import Outcome

CHUNK_ROWS = 65_536


def timeline(table: Table, recorded: Recorded) -> dict[str, list[Any]]:
    """Return lists of equal length; percentiles are in seconds, None where nothing was due."""
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
    }


def arrivals(table: Table, seconds: int, texts: Sequence[str | None]) -> tuple[dict[str, list[Any]], list[Any]]:
    """Return the columns `answered` and `answered_service_mean` of the timeline, and `answered_by` of the document."""
    pods: dict[int, NDArray[np.int64]] = {}
    totals = np.zeros(seconds)
    for start in range(0, len(table), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        good = table.outcome[rows] == Outcome.OK
        ends, sent, pod = table.end[rows][good], table.sent[rows][good], table.pod[rows][good]
        arrived = np.minimum(ends, seconds - 1).astype(np.int32)  # the last second includes the end of the run
        totals += np.bincount(arrived, ends - sent, minlength=seconds)
        for number in np.unique(pod).tolist():
            pods.setdefault(number, np.zeros(seconds, np.int64))
            pods[number] += np.bincount(arrived[pod == number], minlength=seconds)
    answered = sum(pods.values(), np.zeros(seconds, np.int64)).tolist()
    means = [total / n if n else None for total, n in zip(totals.tolist(), answered, strict=True)]
    columns = {"answered": answered, "answered_service_mean": means}
    return columns, [{"pod": texts[number], "answered": counts.tolist()} for number, counts in pods.items()]


def _phase(second: int, recorded: Recorded) -> str:
    plan = recorded.plan
    if second >= recorded.sending_seconds:
        return "drain"
    return [phase.name for phase, start in zip(plan.phases, plan.starts, strict=True) if start <= second][-1]
