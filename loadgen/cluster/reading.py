"""From the API's objects, as they arrived, to an observation. Pure: `watch` receives the objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from loadgen.cluster import quantities
from loadgen.cluster.observation import (
    Behavior,
    Condition,
    Controller,
    Deployment,
    Event,
    Hpa,
    NodeCpu,
    Observation,
    Pod,
    ReplicaSet,
    Sample,
)

Json = Mapping[str, Any]
Resource = Literal["hpa", "deployment", "replica_set", "pod", "endpoint_slice", "event", "pod_metrics", "node_metrics"]


@dataclass(frozen=True)
class Arrival:
    """An object of the API, and when it arrived, in monotonic seconds. `gone` is true if this is its deletion."""

    t: float
    resource: Resource
    object: Json
    gone: bool = False


@dataclass(frozen=True)
class Clock:
    """The start of the run as monotonic seconds and as seconds since 1970, and the API's clock minus ours."""

    monotonic: float
    epoch: float
    skew: float = 0.0

    def arrival(self, monotonic: float) -> float:
        return round(monotonic - self.monotonic, 3)

    def stamp(self, text: str | None) -> float | None:
        """The API's time as seconds from the start of the run; None without one."""
        return None if text is None else round(quantities.epoch(text) - self.epoch - self.skew, 3)


@dataclass
class _Pod:
    """The life of a pod while arrivals are read."""

    fields: dict[str, Any] = field(default_factory=dict)
    ready: list[tuple[float, bool]] = field(default_factory=list)
    ready_stamps: list[float | None] = field(default_factory=list)
    endpoint: list[tuple[float, bool]] = field(default_factory=list)
    restarts: list[tuple[float, int]] = field(default_factory=list)
    phase: list[tuple[float, str]] = field(default_factory=list)


def observation(
    arrivals: Sequence[Arrival],
    clock: Clock,
    release: str,
    server_version: str | None = None,
    controller: Controller | None = None,
    errors: Iterable[str] = (),
    skew_error_seconds: float | None = None,
) -> Observation:
    """The observation made of all arrivals, which are in the order of time."""

    def changes(resource: Resource, read: Any) -> tuple[Any, ...]:
        """What was read of each arrival, without those that changed nothing but the time."""
        last: dict[str, Any] = {}
        result = []
        for arrival in arrivals:
            if arrival.resource == resource and not arrival.gone:
                record, name = read(arrival.object, clock, arrival.t), arrival.object["metadata"]["name"]
                if name not in last or last[name] != record.model_copy(update={"t": last[name].t}):
                    last[name] = record
                    result.append(record)
        return tuple(result)

    return Observation(
        release=release,
        server_version=server_version,
        controller=controller or Controller(),
        skew_seconds=round(clock.skew, 3),
        skew_error_seconds=skew_error_seconds,
        hpa=changes("hpa", hpa),
        deployment=changes("deployment", _deployment),
        replica_sets=changes("replica_set", _replica_set),
        pods=_pods(arrivals, clock),
        samples=changes("pod_metrics", _sample),
        nodes=changes("node_metrics", _node),
        events=tuple(_event(arrival.object, clock, arrival.t) for arrival in _own_events(arrivals)),
        errors=tuple(errors),
    )


def hpa(item: Json, clock: Clock, t: float) -> Hpa:
    """The autoscaler as its object says."""
    spec, status = item["spec"], item.get("status", {})
    conditions = tuple(
        Condition(
            type=condition["type"],
            status=condition["status"],
            reason=condition.get("reason", ""),
            message=condition.get("message", ""),
            stamp=clock.stamp(condition.get("lastTransitionTime")),
        )
        for condition in status.get("conditions") or ()
    )
    target, others = None, []
    for metric in spec.get("metrics") or ():
        source = metric.get("resource", {})
        if source.get("name") == "cpu" and "averageUtilization" in source["target"]:
            target = source["target"]["averageUtilization"]
        else:
            others.append(metric["type"] if metric["type"] != "Resource" else f"Resource {source.get('name')}")
    current: Json = next((m["resource"]["current"] for m in status.get("currentMetrics") or () if _is_cpu(m)), {})
    average = current.get("averageValue")
    last_scale_time = clock.stamp(status.get("lastScaleTime"))
    stamps = [stamp for stamp in (*(c.stamp for c in conditions), last_scale_time) if stamp is not None]
    return Hpa(
        t=clock.arrival(t),
        stamp=max(stamps, default=None),
        min=spec.get("minReplicas", 1),
        max=spec["maxReplicas"],
        target_utilization=target,
        behavior=behavior(spec.get("behavior")),
        current_replicas=status.get("currentReplicas"),
        desired_replicas=status.get("desiredReplicas"),
        utilization=current.get("averageUtilization"),
        average_milli=None if average is None else quantities.milli(average),
        conditions=conditions,
        last_scale_time=last_scale_time,
        other_metrics=tuple(others),
    )


def _is_cpu(metric: Json) -> bool:
    return (metric.get("resource") or {}).get("name") == "cpu"


def behavior(item: Json | None) -> Behavior | None:
    """An HPA's `behavior`, with its tolerances as numbers."""
    if item is None:
        return None
    directions = {}
    for name, direction in item.items():
        tolerance = direction.get("tolerance")
        directions[name] = {**direction, "tolerance": None if tolerance is None else quantities.number(str(tolerance))}
    return Behavior.model_validate(directions)


def _deployment(item: Json, clock: Clock, t: float) -> Deployment:
    status = item.get("status", {})
    return Deployment(
        t=clock.arrival(t),
        desired=item["spec"].get("replicas", 1),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
    )


def _replica_set(item: Json, clock: Clock, t: float) -> ReplicaSet:
    status = item.get("status", {})
    return ReplicaSet(
        t=clock.arrival(t),
        name=item["metadata"]["name"],
        revision=item["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision"),
        desired=item["spec"].get("replicas", 1),
        replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
    )


def _sample(item: Json, clock: Clock, t: float) -> Sample:
    usage = [container["usage"]["cpu"] for container in item["containers"]]
    return Sample(
        t=clock.arrival(t),
        pod=item["metadata"]["name"],
        timestamp=clock.stamp(item["timestamp"]),
        window=quantities.duration(item["window"]),
        usage_nano=sum(map(quantities.nano, usage)),
        usage_milli=sum(map(quantities.milli, usage)),
    )


def _node(item: Json, clock: Clock, t: float) -> NodeCpu:
    return NodeCpu(
        t=clock.arrival(t),
        node=item["metadata"]["name"],
        timestamp=clock.stamp(item["timestamp"]),
        window=quantities.duration(item["window"]),
        usage_nano=quantities.nano(item["usage"]["cpu"]),
    )


def _own_events(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those events that concern the release: its namespace may have others."""
    kinds = {"hpa": "HorizontalPodAutoscaler", "deployment": "Deployment", "replica_set": "ReplicaSet", "pod": "Pod"}
    own = {f"{kinds[a.resource]}/{a.object['metadata']['name']}" for a in arrivals if a.resource in kinds}
    events = [a for a in arrivals if a.resource == "event" and not a.gone]
    return [event for event in events if _involved(event.object["involvedObject"]) in own]


def _involved(reference: Json) -> str:
    return f"{reference.get('kind')}/{reference.get('name')}"


def _event(item: Json, clock: Clock, t: float) -> Event:
    series = item.get("series") or {}
    stamp = series.get("lastObservedTime") or item.get("lastTimestamp") or item.get("eventTime")
    return Event(
        t=clock.arrival(t),
        stamp=clock.stamp(stamp),
        type=item.get("type", "Normal"),
        reason=item.get("reason", ""),
        object=_involved(item["involvedObject"]),
        message=item.get("message", ""),
        count=series.get("count") or item.get("count") or 1,
    )


def _pods(arrivals: Sequence[Arrival], clock: Clock) -> tuple[Pod, ...]:
    pods: dict[str, _Pod] = {}
    slices: dict[str, dict[str, bool]] = {}
    for arrival in arrivals:
        t, item = clock.arrival(arrival.t), arrival.object
        name = item["metadata"]["name"]
        if arrival.resource == "pod":
            _read_pod(pods.setdefault(name, _Pod()), item, clock, t, arrival.gone)
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


def _read_pod(pod: _Pod, item: Json, clock: Clock, t: float, gone: bool) -> None:
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
