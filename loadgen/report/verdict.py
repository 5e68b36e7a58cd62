"""The verdict: one sentence on what a run shows. A pure function of the run's JSON document."""

from collections.abc import Mapping
from typing import Any

from loadgen.autoscaler.reaction import NOT_RISEN
from loadgen.text import count, duration, error_name

Document = Mapping[str, Any]


def verdict(document: Document) -> str:
    """Return the sentence: first what makes the figures worthless, then what was missed, then what was reached."""
    summary, generator = document["summary"], document["generator"]
    if generator["saturated"]:
        return "The generator was saturated, so this run does not describe the service."
    if not summary["requests"]:
        return "No request was due, so this run shows nothing about the service."
    missed = [entry["expression"] for entry in document["thresholds"] if not entry["passed"]]
    parts = [f"{count(len(missed), 'threshold')} missed: {', '.join(missed)}"] if missed else []
    sentence = "; ".join([*parts, _requests(summary), *_scaling(document)])
    return f"{sentence[0].upper()}{sentence[1:]}."


def _requests(summary: Document) -> str:
    response = summary["response_seconds"] or {}
    latency = f"response time {duration(response.get('p50'))} at p50 and {duration(response.get('p99'))} at p99"
    if not summary["failed"]:
        return f"all {count(summary['requests'], 'request')} succeeded, {latency}"
    most = max(summary["errors"], key=lambda error: error["requests"], default=None)
    cause = f", most by {error_name(most['outcome'], most['status'], most['detail'])}" if most else ""
    # Without a success the response time is the timeout that failures count as, not a measurement.
    latency = f", {latency}" if summary["succeeded"] else ""
    return f"{summary['failed']:,} of {count(summary['requests'], 'request')} failed{cause}{latency}"


def _scaling(document: Document) -> list[str]:
    cluster = document.get("cluster")
    ready = [entry["ready"] for entry in cluster["deployment"]] if cluster else []
    if not ready:
        return []
    if max(ready) == ready[0]:
        return [f"the release stayed at {count(ready[0], 'replica')}"]
    stages = document.get("reaction") or []
    times = {stage["stage"]: stage["at"] for stage in stages}
    rise = times.get("the load rises")
    text = f"the release went from {ready[0]} to {count(max(ready), 'replica')}"
    answered = times.get("a connection reaches it")
    if rise is not None and answered is not None:
        text += f", of which the first new one answered {answered - rise:.0f} s after the load rose"
    end = times.get("the latency has recovered")
    if rise is not None and end is not None:
        text += f" and the latency had recovered after {end - rise:.0f} s"
    elif any(stage["detail"] == NOT_RISEN for stage in stages):
        text += f" and {NOT_RISEN}"
    return [text]
