"""The charts of a report as data: panels that stand below one another on one time axis. Pure functions of a document.

A panel is {id, title, unit, kind, series, ...}. x counts seconds from the start of the run. By kind:

- `lines`: series of {name, style, x, y, step}, null where nothing was measured; the scale may be logarithmic (`log`).
- `bars`: the same series as counts per second, stacked.
- `pods`: rows of {name, version, segments: [[state, from, to]]}.
- `events`: marks of {at, text}.

`style` is a number: a colour and dashes, so that no series is told by colour alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
STATES = ("pending", "starting", "ready", "terminating")


def panels(document: Document) -> list[dict[str, Any]]:
    """Return the panels that the document has data for."""
    timeline, cluster = document["timeline"], document.get("cluster")
    chosen = [_rate(timeline), _latency(timeline), _errors(timeline)]
    if cluster:
        chosen += [_cpu(cluster), _replicas(document), _pods(cluster, end(document)), _events(cluster)]
    return [panel for panel in chosen if panel]


def end(document: Document) -> float:
    """Return the end of the time axis: of the run, or of what was observed after it."""
    cluster = document.get("cluster") or {}
    times = [entry["t"] for name in ("hpa", "deployment", "samples", "events") for entry in cluster.get(name, ())]
    return float(max([document["run"]["elapsed_seconds"], len(document["timeline"]["second"]), *times, 1.0]))


def _rate(timeline: Document) -> dict[str, Any]:
    series = [_line("due", 0, timeline, "due"), _line("answered", 1, timeline, "answered")]
    return {"id": "rate", "title": "Requests a second", "unit": "/s", "kind": "lines", "series": series}


def _latency(timeline: Document) -> dict[str, Any]:
    series = [
        _line("response p99", 2, timeline, "response_p99"),
        _line("response p90", 3, timeline, "response_p90"),
        _line("response p50", 1, timeline, "response_p50"),
        _line("service p99", 4, timeline, "service_p99"),
        _line("service p50", 5, timeline, "service_p50"),
    ]
    return {"id": "latency", "title": "Latency", "unit": "s", "kind": "lines", "log": True, "series": series}


def _errors(timeline: Document) -> dict[str, Any] | None:
    series = [_line("failed", 2, timeline, "failed"), _line("dropped", 3, timeline, "dropped")]
    if not any(any(line["y"]) for line in series):
        return None
    return {"id": "errors", "title": "Failed requests", "unit": "/s", "kind": "bars", "series": series}


def _line(name: str, style: int, timeline: Document, key: str) -> dict[str, Any]:
    return {"name": name, "style": style, "x": timeline["second"], "y": timeline[key], "step": False}


def _cpu(cluster: Document) -> dict[str, Any] | None:
    entries = [entry for entry in cluster["hpa"] if entry["target_utilization"] is not None]
    if not entries:
        return None
    series = [
        _steps("CPU as the autoscaler saw it", 0, [(entry["t"], entry["utilization"]) for entry in entries]),
        _steps("target", 2, [(entry["t"], entry["target_utilization"]) for entry in entries]),
    ]
    return {"id": "cpu", "title": "CPU of the request", "unit": "%", "kind": "lines", "series": series}


def _replicas(document: Document) -> dict[str, Any]:
    cluster, elasticity = document["cluster"], document.get("elasticity")
    hpa, deployment = cluster["hpa"], cluster["deployment"]
    series = [
        _steps("desired", 0, [(entry["t"], entry["desired_replicas"]) for entry in hpa]),
        _steps("current", 3, [(entry["t"], entry["replicas"]) for entry in deployment]),
        _steps("ready", 1, [(entry["t"], entry["ready"]) for entry in deployment]),
    ]
    if hpa:
        series.append(_steps("maximum", 2, [(entry["t"], entry["max"]) for entry in hpa]))
    if elasticity:
        demand = elasticity["demand"]
        series.append(_steps("needed in hindsight", 4, list(enumerate(demand))))
    return {"id": "replicas", "title": "Replicas", "unit": "", "kind": "lines", "series": series}


def _steps(name: str, style: int, changes: Sequence[tuple[float, Any]]) -> dict[str, Any]:
    """A line that keeps each value until the next change; equal values in a row are left out."""
    kept = [change for number, change in enumerate(changes) if not number or change[1] != changes[number - 1][1]]
    return {"name": name, "style": style, "x": [at for at, _ in kept], "y": [y for _, y in kept], "step": True}


def _pods(cluster: Document, last: float) -> dict[str, Any] | None:
    rows = []
    for pod in sorted(cluster["pods"], key=lambda pod: (pod["created"] is None, pod["created"] or 0)):
        gone = pod["gone"] if pod["gone"] is not None else last
        ready = next((at for at, value in pod["ready"] if value), None)
        moments = [("pending", pod["created"]), ("starting", pod["started"]), ("ready", ready)]
        moments += [("terminating", pod["terminating"])]
        begins = [(state, at) for state, at in moments if at is not None and at <= gone]
        segments = [
            [state, max(at, 0.0), max(begins[number + 1][1] if number + 1 < len(begins) else gone, 0.0)]
            for number, (state, at) in enumerate(begins)
        ]
        rows.append({"name": pod["name"], "version": pod["version"], "segments": [s for s in segments if s[2] > s[1]]})
    return {"id": "pods", "title": "Pods", "unit": "", "kind": "pods", "rows": rows} if rows else None


def _events(cluster: Document) -> dict[str, Any] | None:
    marks = [
        {"at": event["t"], "text": f"{event['reason']}: {event['object']}: {event['message']}"[:300]}
        for event in cluster["events"]
        if event["t"] >= 0
    ]
    return {"id": "events", "title": "Events", "unit": "", "kind": "events", "marks": marks} if marks else None
