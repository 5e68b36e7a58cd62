"""From the pods and their samples to the number of replicas that the autoscaler proposes, before any limit.

The rules are those of Kubernetes 1.35 for one metric, the CPU utilization of pods: `GetResourceReplicas` in
pkg/controller/podautoscaler/replica_calculator.go and `GetResourceUtilizationRatio` in metrics/utilization.go.
`ci/test full` compares them with Kubernetes' own code.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

from loadgen.cluster.observation import Behavior, Controller, ScalingRules

DEFAULT_CONTROLLER = Controller()
EPSILON = 1e-6  # seconds; times come as floats, whose sums are inexact far below the API's precision


@dataclass(frozen=True)
class Sample:
    """CPU of a pod, in millicores, on average over the `window` seconds before `timestamp`."""

    usage_milli: int
    timestamp: float
    window: float


@dataclass(frozen=True)
class PodState:
    """What the autoscaler knows of a pod at a sync. All times are seconds on one clock.

    `request_milli` is None if a container has no request. `ready` is the condition Ready, None without one, and
    `ready_since` its last transition. `sample` is None if metrics-server has none.
    """

    name: str
    phase: str = "Running"
    request_milli: int | None = None
    deleting: bool = False
    start_time: float | None = None
    ready: bool | None = None
    ready_since: float = 0.0
    sample: Sample | None = None


@dataclass(frozen=True)
class Groups:
    """The names of the pods, as the autoscaler counts them."""

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """The replicas proposed, and why.

    `utilization` (percent) and `average_milli` are of the ready pods, as the HPA's status shows them, and `ratio` is
    that utilization / target. `second_ratio` counts missing and unready pods too; None where there is no need.
    `reason` is one of
    - proportional: ceil(ratio * pods counted)
    - tolerated: the ratio (the second one, if there is one) is within the tolerance, so the number stays
    - direction: with missing and unready pods counted the number would move the other way, so it stays
    """

    replicas: int
    reason: str
    utilization: int
    average_milli: int
    ratio: float
    second_ratio: float | None
    groups: Groups


class MetricsUnavailable(Exception):
    """The autoscaler cannot compute a proposal and does nothing; the text is Kubernetes' own."""


def tolerances(behavior: Behavior | None, controller: Controller) -> tuple[float, float]:
    """The tolerances for up and for down, as parts of 1."""

    def of(direction: ScalingRules | None) -> float:
        return controller.tolerance if direction is None or direction.tolerance is None else direction.tolerance

    return (of(behavior.scale_up), of(behavior.scale_down)) if behavior else (controller.tolerance,) * 2


def group(pods: Collection[PodState], now: float, controller: Controller = DEFAULT_CONTROLLER) -> Groups:
    """Sort the pods by whether their samples count at the time `now`."""
    names: dict[str, list[str]] = {"ready": [], "unready": [], "missing": [], "ignored": []}
    for pod in pods:
        if pod.deleting or pod.phase == "Failed":
            which = "ignored"
        elif pod.phase == "Pending":
            which = "unready"
        elif pod.sample is None:
            which = "missing"
        elif _unready(pod, pod.sample, now, controller):
            which = "unready"
        else:
            which = "ready"
        names[which].append(pod.name)
    return Groups(**{which: tuple(members) for which, members in names.items()})


def _unready(pod: PodState, sample: Sample, now: float, controller: Controller) -> bool:
    if pod.ready is None or pod.start_time is None:
        return True
    if pod.start_time + controller.cpu_initialization_seconds > now + EPSILON:
        return not pod.ready or sample.timestamp + EPSILON < pod.ready_since + sample.window
    return not pod.ready and pod.start_time + controller.initial_readiness_seconds > pod.ready_since + EPSILON


def propose(
    pods: Collection[PodState],
    current: int,
    target: int,
    now: float,
    behavior: Behavior | None = None,
    controller: Controller = DEFAULT_CONTROLLER,
) -> Proposal:
    """The proposal for `current` replicas (of the target's spec) and a `target` in percent of the request.

    Raises MetricsUnavailable where Kubernetes' controller reports an error.
    """
    samples = {pod.name: pod.sample.usage_milli for pod in pods if pod.sample}
    if not samples:
        raise MetricsUnavailable(
            "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
        )
    groups = group(pods, now, controller)
    usage = {name: milli for name, milli in samples.items() if name not in {*groups.ignored, *groups.unready}}
    if not usage:
        raise MetricsUnavailable("did not receive metrics for targeted pods (pods might be unready)")
    requests = _requests(pods)
    utilization, ratio = _ratio(usage, requests, target)
    first_pass = (utilization, sum(usage.values()) // len(usage), ratio)

    up, down = tolerances(behavior, controller)

    def tolerated(value: float) -> bool:
        return 1.0 - down <= value <= 1.0 + up

    count_unready = bool(groups.unready) and ratio > 1
    if not count_unready and not groups.missing:
        replicas, reason = (current, "tolerated") if tolerated(ratio) else (ceil(ratio * len(usage)), "proportional")
        return Proposal(replicas, reason, *first_pass, None, groups)

    if ratio < 1:
        usage |= {name: requests[name] * max(100, target) // 100 for name in groups.missing}
    elif ratio > 1:
        usage |= dict.fromkeys(groups.missing, 0)
    if count_unready:
        usage |= dict.fromkeys(groups.unready, 0)
    _, second = _ratio(usage, requests, target)
    replicas = ceil(second * len(usage))
    flipped = ratio < 1 < second or second < 1 < ratio
    against = (second < 1 and replicas > current) or (second > 1 and replicas < current)
    if tolerated(second):
        replicas, reason = current, "tolerated"
    elif flipped or against:
        replicas, reason = current, "direction"
    else:
        reason = "proportional"
    return Proposal(replicas, reason, *first_pass, second, groups)


def _requests(pods: Collection[PodState]) -> dict[str, int]:
    requests = {}
    for pod in pods:
        if pod.request_milli is None:
            raise MetricsUnavailable(f"missing request for cpu in a container of Pod {pod.name}")
        requests[pod.name] = pod.request_milli
    return requests


def _ratio(usage: dict[str, int], requests: dict[str, int], target: int) -> tuple[int, float]:
    """Utilization in percent, truncated, of the pods in `usage`, and its ratio to the target."""
    requested = sum(requests[name] for name in usage)
    if requested == 0:
        raise MetricsUnavailable("no metrics returned matched known pods")
    utilization = sum(usage.values()) * 100 // requested
    return utilization, utilization / target
