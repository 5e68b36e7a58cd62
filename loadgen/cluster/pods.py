"""From the objects of pods and endpoint slices to the life of each pod: created, scheduled, ready, listed, gone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loadgen.cluster import quantities
from loadgen.cluster.arrivals import Arrival, Clock, Json
from loadgen.cluster.observation import Pod


@dataclass
class _Life:
    """What has been read of a pod until now."""

    fields: dict[str, Any] = field(default_factory=dict)
    ready: list[tuple[float, bool]] = field(default_factory=list)
    ready_stamps: list[float | None] = field(default_factory=list)
    endpoint: list[tuple[float, bool]] = field(default_factory=list)
    restarts: list[tuple[float, int]] = field(default_factory=list)
    phase: list[tuple[float, str]] = field(default_factory=list)


def lives(arrivals: Sequence[Arrival], clock: Clock) -> tuple[Pod, ...]:
    """Every pod that arrived, from its creation to its deletion."""
    pods: dict[str, _Life] = {}
    slices: dict[str, dict[str, bool]] = {}
    for arrival in arrivals:
        t, item = clock.arrival(arrival.t), arrival.object
        name = item["metadata"]["name"]
        if arrival.resource == "pod":
            _read_pod(pods.setdefault(name, _Life()), item, clock, t, arrival.gone)
        elif arrival.resource == "endpoint_slice":
            slices[name] = {} if arrival.gone else _endpoints(item)
        if slices and arrival.resource in ("pod", "endpoint_slice"):
            for pod_name, pod in pods.items():
                listed = any(ready for endpoints in slices.values() for n, ready in endpoints.items() if n == pod_name)
                _append(pod.endpoint, t, listed)
    return tuple(
        Pod(
            name=name,
            ready=tuple(pod.ready),
            ready_stamps=tuple(pod.ready_stamps),
            endpoint=tuple(pod.endpoint),
            restarts=tuple(pod.restarts),
            phase=tuple(pod.phase),
            **pod.fields,
        )
        for name, pod in pods.items()
    )


def _read_pod(pod: _Life, item: Json, clock: Clock, t: float, gone: bool) -> None:
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
    running = [s["state"]["running"] for s in status.get("containerStatuses") or () if "running" in s.get("state", {})]
    pod.fields |= {
        "version": metadata.get("labels", {}).get("app.kubernetes.io/version"),
        "node": spec.get("nodeName"),
        "request_milli": _cpu(spec, "requests"),
        "limit_milli": _cpu(spec, "limits"),
        "start_time": clock.stamp(status.get("startTime")),
        "created": clock.stamp(metadata.get("creationTimestamp")),
    }
    if scheduled and scheduled["status"] == "True":
        pod.fields["scheduled"] = clock.stamp(scheduled.get("lastTransitionTime"))
    if running and "started" not in pod.fields:
        pod.fields["started"] = max(clock.stamp(container["startedAt"]) or 0.0 for container in running)
    if metadata.get("deletionTimestamp") and "terminating" not in pod.fields:
        pod.fields["terminating"] = t
    if gone:
        pod.fields["gone"] = t
    if ready:
        value, stamp = ready["status"] == "True", clock.stamp(ready.get("lastTransitionTime"))
        if not pod.ready or (pod.ready[-1][1], pod.ready_stamps[-1]) != (value, stamp):
            pod.ready.append((t, value))
            pod.ready_stamps.append(stamp)
    _append(pod.restarts, t, sum(s.get("restartCount", 0) for s in status.get("containerStatuses") or ()))
    _append(pod.phase, t, status.get("phase", "Unknown"))


def _append(pairs: list[tuple[float, Any]], t: float, value: Any) -> None:
    if not pairs or pairs[-1][1] != value:
        pairs.append((t, value))


def _cpu(spec: Json, which: str) -> int | None:
    """Millicores of all containers, sidecars among them, as the autoscaler adds them up; None if one says nothing."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    amounts = [c.get("resources", {}).get(which, {}).get("cpu") for c in (*spec["containers"], *sidecars)]
    return None if None in amounts else sum(quantities.milli(str(amount)) for amount in amounts)


def _endpoints(item: Json) -> dict[str, bool]:
    """The pods of a slice: whether traffic is sent to them. Without a condition, it is."""
    return {
        endpoint["targetRef"]["name"]: endpoint.get("conditions", {}).get("ready") is not False
        for endpoint in item.get("endpoints") or ()
        if endpoint.get("targetRef", {}).get("kind") == "Pod"
    }
