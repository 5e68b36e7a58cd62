"""Ends a run early when a threshold with `abort=30s` is missed: looked at each second, from second 30 on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.follow import Second, response_seconds
from loadgen.engine.plan import Plan
from loadgen.engine.stop import Stop
from loadgen.scenarios.thresholds import Threshold, evaluate
from loadgen.targets.outcome import NOT_SERVICE, Outcome

ROW = np.dtype([("intended", "f4"), ("response", "f4"), ("service", "f4"), ("outcome", "u1"), ("stale", "u1")])
PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


class Abort:
    """Keeps 14 bytes of every request that has ended, and asks `stop` for the end of the run."""

    def __init__(self, thresholds: Sequence[Threshold], plan: Plan, stop: Stop) -> None:
        self._thresholds = [threshold for threshold in thresholds if threshold.abort_after_seconds is not None]
        self._plan, self._stop = plan, stop
        self._parts: list[NDArray[np.void]] = []

    def see(self, second: Second) -> None:
        """Take the requests that ended in a second of the run."""
        if not self._thresholds or self._stop.requests:
            return
        self._parts.append(self._rows(second))
        due = [
            threshold
            for threshold in self._thresholds
            if threshold.abort_after_seconds is not None and second.second + 1 >= threshold.abort_after_seconds
        ]
        if not due:
            return
        missed = [
            result["expression"]
            for result in evaluate(due, self._document(np.concatenate(self._parts), second.second + 1))
            # A figure that does not exist yet is no reason to end the run.
            if not result["passed"] and result["value"] is not None
        ]
        if missed:
            self._stop.request(f"{', '.join(missed)} missed")

    def _rows(self, second: Second) -> NDArray[np.void]:
        records = second.records
        rows = np.empty(len(records), ROW)
        rows["intended"], rows["outcome"], rows["stale"] = records["intended"], records["outcome"], records["stale"]
        rows["response"] = response_seconds(records, self._plan.timeout_seconds)
        rows["service"] = records["end"] - records["sent"]
        return rows

    def _document(self, rows: NDArray[np.void], elapsed: float) -> dict[str, Any]:
        phases, warmup = [], np.zeros(len(rows), bool)
        for phase, start in zip(self._plan.phases, self._plan.starts, strict=True):
            within = (rows["intended"] >= start) & (rows["intended"] < start + phase.seconds)
            warmup |= within & phase.warmup
            seconds = min(max(elapsed - start, 0.0), phase.seconds)
            phases.append({"name": phase.name, "summary": _summary(rows[within], seconds)})
        return {"summary": _summary(rows[~warmup], elapsed), "phases": phases}


def _summary(rows: NDArray[np.void], seconds: float) -> dict[str, Any]:
    judged = rows[~np.isin(rows["outcome"], NOT_SERVICE)]
    succeeded = int((judged["outcome"] == Outcome.OK).sum())
    waited = rows[~np.isin(rows["outcome"], (Outcome.INTERRUPTED, Outcome.LOCAL))]
    return {
        "requests": len(judged),
        "failed": len(judged) - succeeded,
        "dropped": int((rows["outcome"] == Outcome.DROPPED).sum()),
        "stale": int(rows["stale"].sum()),
        "rate_per_second": succeeded / seconds if seconds else 0.0,
        "response_seconds": _latency(waited["response"]),
        "service_seconds": _latency(judged["service"][np.isfinite(judged["service"])]),
    }


def _latency(values: NDArray[np.float32]) -> dict[str, float] | None:
    if not len(values):
        return None
    ranks = np.percentile(values, list(PERCENTILES.values()), method="inverted_cdf")
    named = dict(zip(PERCENTILES, ranks.tolist(), strict=True))
    return named | {"max": float(values.max()), "mean": float(values.mean(dtype=np.float64))}
