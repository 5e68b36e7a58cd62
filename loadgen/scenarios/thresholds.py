"""Thresholds: expressions over a run's figures that decide its exit status, also in k6's spelling.

p99<200ms                  response time: p50 p90 p95 p99 max mean; service.p99, first_token.p99, inter_token.p99
p(99)<200                  the same as k6 writes it: milliseconds without a unit; avg and med are mean and p50
errors==0    rate<0.01     failed requests; their share of all requests, 0 to 1
throughput>=50             answers a second
dropped==0   stale<10      arrivals beyond --max-in-flight; kept connections that the server had closed
accuracy>0.95              right labels, 0 to 1
replicas.max>=2            ready replicas, with --observe; also replicas.min
p99{phase=spike}<500ms     in one phase
p99<2s abort=30s           end the run early if the threshold is missed at any time after second 30
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
PERCENTILES = ("p50", "p90", "p95", "p99", "max", "mean")
SPELLINGS = {"avg": "mean", "med": "p50"}
DURATIONS = {
    "response": "response_seconds",
    "service": "service_seconds",
    "first_token": "first_token_seconds",
    "inter_token": "inter_token_seconds",
}
COUNTS = ("errors", "rate", "throughput", "dropped", "stale", "accuracy")
ABORTABLE = ("errors", "rate", "throughput", "dropped", "stale")
REPLICAS = ("replicas.max", "replicas.min")
EXPRESSION = re.compile(
    r"(?P<metric>[a-z_][\w.]*(?:\(\d+\))?)\s*(?:\{\s*phase\s*[=:]\s*(?P<phase>[^{}]+?)\s*\})?\s*"
    r"(?P<comparison><=|>=|===?|!=|<|>)\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s|m|%)?"
    r"(?:[\s,]+abort\s*=\s*(?P<abort>\d+(?:\.\d+)?)s)?"
)
RULE = "must be such as p99<200ms, errors==0, p99{phase=spike}<500ms, replicas.max>=2 or 'p99<2s abort=30s'"


@dataclass(frozen=True)
class Threshold:
    """metric: a percentile as `response.p99`, or a name of COUNTS or REPLICAS. limit: seconds for percentiles."""

    expression: str
    metric: str
    phase: str | None
    comparison: str
    limit: float
    abort_after_seconds: float | None = None

    @property
    def is_duration(self) -> bool:
        return self.metric.split(".")[0] in DURATIONS

    def passes(self, value: float | None) -> bool:
        """Whether `value` keeps the threshold. A figure that a run does not have keeps none."""
        return value is not None and COMPARISONS[self.comparison](value, self.limit)


def parse(expression: str) -> Threshold:
    """Return the threshold; raise ValueError with the rule if it cannot be read."""
    match = EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise ValueError(RULE)
    metric, is_duration = _metric(match["metric"])
    unit, limit = match["unit"], float(match["value"])
    if is_duration:
        if unit == "%":
            raise ValueError(f"{match['metric']} is a duration: its unit is us, ms, s or m")
        limit *= UNITS[unit or "ms"]
    elif unit == "%" and metric in ("rate", "accuracy"):
        limit /= 100
    elif unit:
        raise ValueError(f"{match['metric']} has no unit")
    if match["phase"] and metric in REPLICAS:
        raise ValueError("replicas are those of the whole run, not of a phase")
    abortable = metric in ABORTABLE or metric.split(".")[0] in ("response", "service")
    if match["abort"] and not abortable:
        raise ValueError(f"abort is for response and service times and for {', '.join(ABORTABLE)}")
    comparison = "==" if match["comparison"] == "===" else match["comparison"]
    abort = float(match["abort"]) if match["abort"] else None
    return Threshold(expression.strip(), metric, match["phase"], comparison, limit, abort)


def _metric(name: str) -> tuple[str, bool]:
    """Return the metric's own name, and whether it is a duration."""
    if name in COUNTS or name in REPLICAS:
        return name, False
    family, _, figure = name.rpartition(".") if "." in name else ("response", "", name)
    figure = SPELLINGS.get(figure, re.sub(r"p\((\d+)\)", r"p\1", figure))
    if family not in DURATIONS or figure not in PERCENTILES:
        known = ", ".join([*PERCENTILES, *(f"{family}.p99" for family in DURATIONS), *COUNTS, *REPLICAS])
        raise ValueError(f"{name} is not a figure of a run; known are {known}")
    return f"{family}.{figure}", True


def evaluate(thresholds: Sequence[Threshold], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return {expression, value, passed} for each threshold. value: seconds, a count, a share, or null."""
    results = []
    for threshold in thresholds:
        value = _value(threshold, document)
        results.append({"expression": threshold.expression, "value": value, "passed": threshold.passes(value)})
    return results


def govern_errors(thresholds: Sequence[Threshold]) -> bool:
    """Whether one of them says how many requests of the whole run may fail."""
    return any(threshold.metric in ("errors", "rate") and threshold.phase is None for threshold in thresholds)


def _value(threshold: Threshold, document: Mapping[str, Any]) -> float | None:
    if threshold.metric in REPLICAS:
        ready = [entry["ready"] for entry in (document.get("cluster") or {}).get("deployment", [])]
        return (max if threshold.metric == "replicas.max" else min)(ready, default=None)
    summary = document["summary"]
    if threshold.phase is not None:
        phases = [phase["summary"] for phase in document["phases"] if phase["name"] == threshold.phase]
        if not phases:
            return None
        summary = phases[0]
    if "." in threshold.metric:
        family, figure = threshold.metric.split(".")
        return (summary.get(DURATIONS[family]) or {}).get(figure)
    return _count(threshold.metric, summary)


def _count(metric: str, summary: Mapping[str, Any]) -> float | None:
    if metric == "errors":
        return float(summary["failed"])
    if metric == "rate":
        return summary["failed"] / summary["requests"] if summary["requests"] else None
    if metric == "throughput":
        return float(summary["rate_per_second"])
    if metric == "accuracy":
        return float(summary["accuracy"]["share"]) if summary.get("accuracy") else None
    return float(summary[metric])
