"""From the API's objects, as they arrived, to an observation. Pure: `watch` receives the objects."""

from collections.abc import Iterable, Sequence
from typing import Any

from loadgen.cluster import pods, quantities
from loadgen.cluster.arrivals import Arrival, Clock, Json, Resource
from loadgen.cluster.observation import (
    Behavior,
    Condition,
    Controller,
    Deployment,
    Event,
    Hpa,
    NodeCpu,
    Observation,
    ReplicaSet,
    Sample,
)

# Resource -> how an event names the resource that it concerns.
INVOLVED = {"hpa": "HorizontalPodAutoscaler", "deployment": "Deployment", "replica_set": "ReplicaSet", "pod": "Pod"}


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
        pods=pods.lives(arrivals, clock),
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
        desired_replicas=_desired(status, conditions),
        utilization=current.get("averageUtilization"),
        average_milli=None if average is None else quantities.milli(average),
        conditions=conditions,
        last_scale_time=last_scale_time,
        other_metrics=tuple(others),
    )


def _desired(status: Json, conditions: tuple[Condition, ...]) -> int | None:
    """`desiredReplicas`, but None for the 0 of an autoscaler that could not decide yet."""
    desired: int | None = status.get("desiredReplicas")
    decided = any(condition.type == "ScalingActive" and condition.status == "True" for condition in conditions)
    return desired if desired or decided or status.get("currentReplicas") == 0 else None


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
    api_kinds = {
        "hpa": "HorizontalPodAutoscaler",
        "deployment": "Deployment",
        "replica_set": "ReplicaSet",
        "pod": "Pod",
    }
    own = {f"{api_kinds[a.resource]}/{a.object['metadata']['name']}" for a in arrivals if a.resource in api_kinds}
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
