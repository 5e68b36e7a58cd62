"""Summaries: counts, rates, latencies, errors and answers by pod, of a run or a part of it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.run import Recorded
from loadgen.statistics.percentiles import distribution
from loadgen.statistics.table import Table, gaps, load
from loadgen.statistics.timeline import CHUNK_ROWS, arrivals, timeline
from loadgen.targets.outcome import Outcome

ERROR_KEYS = ("outcome", "status", "detail", "phase", "pod", "version")


@dataclass(frozen=True)
class Window:
    """A part of a run: its rows, its inter-token latencies, and the seconds in which its requests were due."""

    table: Table
    gaps: NDArray[np.float32]
    start: float
    end: float
    seconds: float


@dataclass(frozen=True)
class Names:
    """What the numbers in a table stand for, and the settings that figures depend on."""

    texts: Sequence[str | None]
    phases: Sequence[str]
    timeout_seconds: float
    closed_loop: bool


def summarise(recorded: Recorded) -> dict[str, Any]:
    """Return {"summary", "phases", "drain", "timeline", "elapsed_seconds"} of the JSON document, and "table".

    `summary` is over all phases but warm-ups. Percentiles are by nearest rank over all requests that were due: a
    failure counts as at least its timeout, and so does a dropped one; those of `response_seconds_succeeded` are over
    successes. Local errors and requests cut off by a second signal are in neither.
    `requests` = `succeeded` + `failed`; `dropped`, `local` and `interrupted` are counted beside it.
    """
    plan = recorded.plan
    table, texts = load(recorded)
    names = Names(texts, [phase.name for phase in plan.phases], plan.timeout_seconds, plan.arrivals is None)
    gap_phases, gap_seconds = gaps(recorded)

    def window(*phases: int) -> Window:
        spans = [_span(recorded, phase) for phase in phases]
        start, end = min((span[0] for span in spans), default=0.0), max((span[1] for span in spans), default=0.0)
        rows = np.isin(table.phase, phases)
        part = table if rows.all() else table.part(rows)
        return Window(part, gap_seconds[np.isin(gap_phases, phases)], start, end, sum(b - a for a, b in spans))

    seconds = timeline(table, recorded)
    answered, answered_by = arrivals(table, len(seconds["second"]), texts)
    measured = window(*(number for number, phase in enumerate(plan.phases) if not phase.warmup))
    return {
        "summary": _summary(measured, names),
        "phases": [
            {"name": phase.name, "start": part.start, "end": part.end, "warmup": phase.warmup}
            | {"summary": _summary(part, names)}
            for number, phase in enumerate(plan.phases)
            for part in [window(number)]
        ],
        "drain": _drain(table, recorded.sending_seconds),
        "timeline": seconds | answered,
        "answered_by": answered_by,
        "elapsed_seconds": max(float(table.end.max(initial=0.0)), recorded.sending_seconds),
        "measured": measured,
        "texts": texts,
    }


def _span(recorded: Recorded, phase: int) -> tuple[float, float]:
    """Return start and end of the part of a phase in which requests were sent."""
    start, last = recorded.plan.starts[phase], recorded.sending_seconds
    return min(start, last), min(start + recorded.plan.phases[phase].seconds, last)


def _summary(window: Window, names: Names) -> dict[str, Any]:
    table, timeout = window.table, names.timeout_seconds
    succeeded, sent = table.succeeded, ~np.isnan(table.sent)
    judged = ~table.has(Outcome.INTERRUPTED, Outcome.LOCAL)
    good, failed = int(succeeded.sum()), int(table.failed.sum())
    tokens = table.tokens[succeeded & (table.tokens >= 0)]
    return {
        "requests": good + failed,
        "succeeded": good,
        "failed": failed,
        "dropped": int(table.has(Outcome.DROPPED).sum()),
        "local": int(table.has(Outcome.LOCAL).sum()),
        "interrupted": int(table.has(Outcome.INTERRUPTED).sum()),
        "stale": int(table.stale.sum()),
        "retry_after": int((~np.isnan(table.retry_after)).sum()),
        "rate_per_second": good / window.seconds if window.seconds else 0.0,
        "response_seconds": distribution(table.response(timeout)[judged]),
        "response_seconds_succeeded": distribution(table.response(timeout)[succeeded]),
        "service_seconds": distribution(table.service(timeout)[judged & sent]),
        "delay_seconds": {
            "no_connection": distribution(table.no_connection[sent]),
            "loop_late": distribution(_loop_late(table)[sent]),
        },
        "first_token_seconds": distribution(table.first_token[succeeded & ~np.isnan(table.first_token)]),
        "inter_token_seconds": distribution(window.gaps),
        "longest_silence_seconds": _longest_silence(window) if names.closed_loop else None,
        "errors": _errors(table, names),
        "served_by": _served_by(table, names.texts),
        "accuracy": _accuracy(table.correct[succeeded]),
        "completion_tokens": {"total": int(tokens.sum()), "rate_per_second": float(tokens.sum()) / window.seconds}
        if len(tokens) and window.seconds
        else None,
    }


def _loop_late(table: Table) -> NDArray[np.float64]:
    """Return the part of the delay that was not spent waiting for a connection, in place to save memory."""
    late = table.sent - table.intended
    late -= table.no_connection
    return np.maximum(late, 0, out=late)


def _longest_silence(window: Window) -> float:
    """Return the longest time without a success: a closed loop sends nothing while the service is silent."""
    ends = np.sort(window.table.end[window.table.succeeded])
    last = max(window.end, float(ends[-1]) if len(ends) else 0.0)
    return float(np.diff(np.concatenate([[window.start], ends, [last]])).max())


def _errors(table: Table, names: Names) -> list[dict[str, Any]]:
    failed = table.failed
    columns = np.stack([getattr(table, key)[failed].astype(np.uint16) for key in ERROR_KEYS], axis=1)
    rows, counts = np.unique(columns, axis=0, return_counts=True)
    texts = names.texts
    return [
        {
            "outcome": Outcome(outcome).label,
            "status": status or None,
            "detail": texts[detail],
            "requests": count,
            "phase": names.phases[phase],
            "pod": texts[pod],
            "model_version": texts[version],
        }
        for count, (outcome, status, detail, phase, pod, version) in sorted(
            zip(counts.tolist(), rows.tolist(), strict=True), key=lambda pair: -pair[0]
        )
    ]


def _served_by(table: Table, texts: Sequence[str | None]) -> list[dict[str, Any]]:
    requests: Counter[tuple[int, int]] = Counter()
    first: dict[tuple[int, int], float] = {}
    for start in range(0, len(table), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        answered = table.status[rows] > 0
        servers, ends = table.pod[rows][answered].astype(np.int64) << 16, table.end[rows][answered]
        keys, groups, counts = np.unique(
            servers | table.version[rows][answered], return_inverse=True, return_counts=True
        )
        firsts = np.full(len(keys), np.inf)
        np.minimum.at(firsts, groups, ends)
        for key, count, seconds in zip(keys.tolist(), counts.tolist(), firsts.tolist(), strict=True):
            server = divmod(key, 1 << 16)
            requests[server] += count
            first[server] = min(seconds, first.get(server, math.inf))
    return [
        {
            "pod": texts[pod],
            "model_version": texts[version],
            "requests": count,
            "first_answer": first[pod, version],
        }
        for (pod, version), count in requests.most_common()
    ]


def _accuracy(correct: NDArray[np.int8]) -> dict[str, Any] | None:
    judged, right = int((correct >= 0).sum()), int((correct == 1).sum())
    return {"correct": right, "judged": judged, "share": right / judged} if judged else None


def _drain(table: Table, sending_seconds: float) -> Mapping[str, Any]:
    late = table.end > sending_seconds
    return {
        "seconds": max(float(table.end.max(initial=0.0)) - sending_seconds, 0.0),
        "requests": int((late & (table.succeeded | table.failed)).sum()),
        "succeeded": int((late & table.succeeded).sum()),
        "failed": int((late & table.failed).sum()),
    }
