"""The reaction to a rise of the load, taken apart: the seconds of each stage up to the recovered latency.

A pure function of a run's JSON document. All times are seconds from the start of the run.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from loadgen.autoscaler import smoothing
from loadgen.text import duration

RECOVERED_SHARE = 1.25  # of the final latency
FINAL_SECONDS = 20
STAY_SECONDS = 10
METRICS_RESOLUTION_SECONDS = 15  # metrics-server's default; the window of a sample is at least 10 s
STAMP = "by the API's clock, in whole seconds"

NOT_RISEN = "the latency did not rise"

Document = Mapping[str, Any]

REMEDIES = {
    "a sample shows it": "metrics-server's --metric-resolution (15 s by default, 10 s at least)",
    "the autoscaler decides": "the controller manager's --horizontal-pod-autoscaler-sync-period (15 s by default), a "
    "lower target, or a scaleUp policy that adds more pods at once",
    "a new pod is scheduled": "free capacity on the nodes (pause pods, a faster cluster autoscaler)",
    "its container starts": "images that are on the node already, fewer init containers",
    "it is ready": "a faster start of the service: a smaller model, more CPU at start, a shorter readiness period",
    "it is an endpoint": "nothing in the release: the endpoints follow the readiness",
    "a connection reaches it": "clients that renew their connections more often (--connections renew:5s)",
    "the latency has recovered": "more replicas at once, or a lower target, so that less work queues up meanwhile",
}


def reaction(document: Document) -> list[dict[str, Any]]:
    """Return the stages in order: {stage, at, seconds, floor_seconds, detail, remedy}.

    at and seconds: null if unobserved; seconds since the stage before that was observed. floor_seconds: what no setting
    of the release can fall below on average, null where there is none. remedy: only at the longest stage. Empty if the
    release never scaled up.
    """
    cluster = document.get("cluster")
    if not cluster:
        return []
    rise, how = load_rise(document)
    decided = _first(entry["t"] for entry in _raised(cluster["hpa"]) if entry["t"] >= rise)
    if decided is None:
        return []
    new = sorted(
        (pod for pod in cluster["pods"] if pod["created"] is not None and pod["created"] >= rise),
        key=lambda pod: pod["created"],
    )
    recovery, how_recovered = recovered(document, rise)
    moments: list[tuple[str, float | None, float | None, str]] = [
        ("the load rises", rise, None, how),
        ("a sample shows it", _sample(cluster, rise), METRICS_RESOLUTION_SECONDS / 2, "CPU above target and tolerance"),
        ("the autoscaler decides", decided, cluster["controller"]["sync_seconds"] / 2, ""),
        ("a new pod is scheduled", _first(pod["scheduled"] for pod in new), None, STAMP),
        ("its container starts", _first(pod["started"] for pod in new), None, STAMP),
        ("it is ready", _first(_became(pod["ready"]) for pod in new), None, ""),
        ("it is an endpoint", _first(_became(pod["endpoint"]) for pod in new), None, ""),
        ("a connection reaches it", _first_answer(document, {pod["name"] for pod in new}), None, "its first answer"),
        ("the latency has recovered", recovery, None, how_recovered),
    ]
    return _stages(moments)


def load_rise(document: Document) -> tuple[float, str]:
    """Return when the load rose most, and how that is known. A closed loop rises when it begins."""
    settings = document["settings"]
    if settings.get("concurrency") is not None or not any(document["timeline"]["due"]):
        return 0.0, "the users begin"
    due = np.asarray(document["timeline"]["due"], float)
    width = min(5, max(len(due) // 4, 1))
    before = np.concatenate([np.zeros(width), due])
    means = np.convolve(before, np.ones(width) / width, mode="valid")
    rises = means[width:] - means[:-width] if len(means) > width else means
    second = int(np.argmax(rises)) if len(rises) else 0
    starts = [phase["start"] for phase in document["phases"] if abs(phase["start"] - second) <= width]
    at = min(starts, key=lambda start: abs(start - second), default=float(second))
    return at, f"the rate of arrivals rises most ({due[: int(at)][-width:].mean() if at else 0:.3g}/s before)"


def recovered(document: Document, rise: float) -> tuple[float | None, str]:
    """Return the second from which the response time's p90 stays near that of the end of sending, and how it is known.

    None where it did not rise with the load at `rise`, or has not been seen to stay low. The p90 of single seconds
    varies, so its rolling median is looked at.
    """
    timeline = document["timeline"]
    seconds, medians = smoothing.medians(timeline["response_p90"], timeline["succeeded"])
    if not len(medians):
        return None, "too few seconds with an answer"
    last = max(second for second, p90 in enumerate(timeline["response_p90"]) if p90 is not None)
    final = np.median(medians[-FINAL_SECONDS:])
    before = medians[seconds < rise - smoothing.width(timeline["succeeded"]) // 2]
    above = seconds[(seconds >= rise) & (medians > final * RECOVERED_SHARE)]
    if len(above) and above[-1] + 1 <= last + 1 - STAY_SECONDS:
        return float(above[-1] + 1), f"p90 within {RECOVERED_SHARE} x the final"
    if len(above):
        return None, f"p90 was high in the last {STAY_SECONDS} s"
    if not len(before):
        return None, "p90 was level from the start of the load to its end"
    if final > np.median(before) * RECOVERED_SHARE:
        return None, f"p90 rose with the load, to {duration(float(final))}, and did not come down"
    return None, NOT_RISEN


def _stages(moments: Sequence[tuple[str, float | None, float | None, str]]) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = []
    last = moments[0][1]
    for stage, at, floor, detail in moments:
        # The API's stamps count whole seconds, arrivals do not: a stage can seem to come before the one that caused it.
        seconds = max(at - last, 0.0) if at is not None and last is not None else None
        stages.append(
            {"stage": stage, "at": at, "seconds": seconds, "floor_seconds": floor, "detail": detail, "remedy": None}
        )
        last = at if at is not None else last
    longest = max((stage for stage in stages if stage["seconds"]), key=lambda stage: stage["seconds"], default=None)
    if longest is not None:
        longest["remedy"] = REMEDIES[longest["stage"]]
    return stages


def _raised(entries: Sequence[Document]) -> Iterable[Document]:
    """Yield the autoscaler's status entries that raise the desired replicas."""
    for before, entry in pairwise(entries):
        if _desired(entry) > _desired(before):
            yield entry


def _desired(entry: Document) -> int:
    """Return what the autoscaler has decided; before its first decision, what there is."""
    desired: int | None = entry["desired_replicas"]
    return (entry["current_replicas"] or 0) if desired is None else desired


def _sample(cluster: Document, rise: float) -> float | None:
    """Return when the first sample arrived that shows a pod above the target and its tolerance."""
    target = next((entry["target_utilization"] for entry in cluster["hpa"] if entry["target_utilization"]), None)
    requests = {pod["name"]: pod["request_milli"] for pod in cluster["pods"]}
    if target is None:
        return None
    limit = target / 100 * (1 + cluster["controller"]["tolerance"])
    return _first(
        sample["t"]
        for sample in cluster["samples"]
        if sample["timestamp"] >= rise
        and requests.get(sample["pod"])
        and sample["usage_nano"] / 1e6 > limit * requests[sample["pod"]]
    )


def _first_answer(document: Document, pods: set[str]) -> float | None:
    return _first(entry["first_answer"] for entry in document["summary"]["served_by"] if entry["pod"] in pods)


def _became(changes: Sequence[Sequence[Any]]) -> float | None:
    return next((at for at, value in changes if value), None)


def _first(times: Iterable[float | None]) -> float | None:
    return min((at for at in times if at is not None), default=None)
