"""From a proposal to the number of replicas that the autoscaler sets: bounds, stabilization, rate limits.

The rules are those of Kubernetes 1.35: `reconcileAutoscaler`, `normalizeDesiredReplicas` and
`normalizeDesiredReplicasWithBehaviors` in pkg/controller/podautoscaler/horizontal.go, and the defaults of a behavior in
pkg/apis/autoscaling/v2/defaults.go. `ci/test full` compares them with Kubernetes' own controller.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf

from loadgen.autoscaler.proposal import DEFAULT_CONTROLLER
from loadgen.cluster.observation import Behavior, Controller, Policy, ScalingRules

UP = (Policy(type="Pods", value=4, period_seconds=15), Policy(type="Percent", value=100, period_seconds=15))
DOWN = (Policy(type="Percent", value=100, period_seconds=15),)


@dataclass(frozen=True)
class Entry:
    """Replicas, or a change of them, at a time."""

    t: float
    replicas: int


@dataclass(frozen=True)
class History:
    """What the controller remembers of one HPA: recommendations before stabilization, and changes it has made."""

    recommendations: tuple[Entry, ...] = ()
    added: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()

    def changed(self, t: float, before: int, after: int, behavior: Behavior | None) -> "History":
        """With the change from `before` to `after` replicas at `t`; without a behavior none is remembered."""
        if behavior is None or before == after:
            return self
        up, down = rules(behavior)
        if after > before:
            return replace(self, added=_remember(self.added, Entry(t, after - before), t - up.longest_period))
        return replace(self, removed=_remember(self.removed, Entry(t, before - after), t - down.longest_period))

    def recommended(self, t: float, replicas: int, cutoff: float) -> "History":
        """With a recommendation, in the place of one that is older than `cutoff`."""
        return replace(self, recommendations=_remember(self.recommendations, Entry(t, replicas), cutoff))


@dataclass(frozen=True)
class Decision:
    """What a sync sets, and why.

    `able_to_scale` and `scaling_limited` are the reasons that the conditions of these names get, but for a rescale:
    then AbleToScale gets SucceededRescale. They are "" where the controller does not set them. `message` is the
    reason in the event of a rescale. `stabilized` is the number between stabilization and rate limits.
    """

    desired: int
    stabilized: int
    message: str = ""
    able_to_scale: str = ""
    scaling_limited: str = ""
    history: History = field(default=History(), repr=False)


@dataclass(frozen=True)
class Rules:
    """One direction of a behavior, with the defaults of Kubernetes where it says nothing."""

    stabilization_seconds: float
    select_policy: str
    policies: tuple[Policy, ...]

    @property
    def longest_period(self) -> int:
        return max(policy.period_seconds for policy in self.policies)


def rules(behavior: Behavior, controller: Controller = DEFAULT_CONTROLLER) -> tuple[Rules, Rules]:
    """The rules for up and for down."""

    def complete(own: ScalingRules | None, seconds: float, policies: tuple[Policy, ...]) -> Rules:
        own = own or ScalingRules()
        window = own.stabilization_window_seconds
        return Rules(
            stabilization_seconds=seconds if window is None else window,
            select_policy=own.select_policy or "Max",
            policies=policies if own.policies is None else own.policies,
        )

    down_seconds = controller.downscale_stabilization_seconds
    return complete(behavior.scale_up, 0, UP), complete(behavior.scale_down, down_seconds, DOWN)


def decide(
    proposed: int | None,
    current: int,
    minimum: int,
    maximum: int,
    behavior: Behavior | None,
    controller: Controller,
    history: History,
    now: float,
) -> Decision:
    """The decision of a sync at `now`, for `current` replicas of the target's spec.

    `proposed` is None where the metrics could not be read: then only the bounds act. The history in the decision is
    what the next sync starts from.
    """
    if not history.recommendations:  # a controller starts with what it finds
        history = history.recommended(now, current, -inf)
    if current == 0 and minimum != 0:
        return Decision(0, 0, history=history)
    if not minimum <= current <= maximum:
        desired = min(max(current, minimum), maximum)
        message = f"Current number of replicas {'above Spec.Max' if current > maximum else 'below Spec.Min'}Replicas"
        return Decision(desired, desired, message, history=history.changed(now, current, desired, behavior))
    if proposed is None:
        return Decision(current, current, history=history)
    if behavior is None:
        decision = _without_behavior(proposed, current, minimum, maximum, controller, history, now)
    else:
        decision = _with_behavior(proposed, current, minimum, maximum, rules(behavior, controller), history, now)
    message = ""
    if decision.desired != current:
        above = "cpu resource utilization (percentage of request) above target"
        message = above if proposed > current else "All metrics below target" if proposed < current else ""
    kept = decision.history.changed(now, current, decision.desired, behavior)
    return replace(decision, message=message, history=kept)


def _with_behavior(
    proposed: int,
    current: int,
    minimum: int,
    maximum: int,
    both: tuple[Rules, Rules],
    history: History,
    now: float,
) -> Decision:
    up, down = both
    up_cutoff, down_cutoff = now - up.stabilization_seconds, now - down.stabilization_seconds
    recent = history.recommendations
    lowest = min([proposed, *(entry.replicas for entry in recent if entry.t > up_cutoff)])
    highest = max([proposed, *(entry.replicas for entry in recent if entry.t > down_cutoff)])
    stabilized = min(max(current, lowest), highest)
    able = "ReadyForNewScale"
    if stabilized != proposed:
        able = "ScaleUpStabilized" if proposed >= current else "ScaleDownStabilized"
    desired, limited = stabilized, "DesiredWithinRange"
    if stabilized > current:
        limit = max(current, _limit(up, current, history, now, 1))
        if stabilized > min(limit, maximum):
            desired, limited = (limit, "ScaleUpLimit") if maximum > limit else (maximum, "TooManyReplicas")
    elif stabilized < current:
        limit = min(current, _limit(down, current, history, now, -1))
        if stabilized < max(limit, minimum):
            desired, limited = (limit, "ScaleDownLimit") if minimum < limit else (minimum, "TooFewReplicas")
    kept = history.recommended(now, proposed, min(up_cutoff, down_cutoff))
    return Decision(desired, stabilized, "", able, limited, kept)


def _without_behavior(
    proposed: int, current: int, minimum: int, maximum: int, controller: Controller, history: History, now: float
) -> Decision:
    cutoff = now - controller.downscale_stabilization_seconds
    stabilized = max([proposed, *(entry.replicas for entry in history.recommendations if entry.t >= cutoff)])
    able = "ReadyForNewScale" if stabilized == proposed else "ScaleDownStabilized"
    limit = max(2 * current, 4)
    desired, limited = stabilized, "DesiredWithinRange"
    if stabilized < minimum:
        desired, limited = minimum, "TooFewReplicas"
    elif stabilized > min(limit, maximum):
        desired, limited = (limit, "ScaleUpLimit") if maximum > limit else (maximum, "TooManyReplicas")
    return Decision(desired, stabilized, "", able, limited, history.recommended(now, proposed, cutoff))


def _limit(direction: Rules, current: int, history: History, now: float, sign: int) -> int:
    """How far the policies let the replicas go: up with sign 1, down with -1."""
    if direction.select_policy == "Disabled":
        return current
    limits = []
    for policy in direction.policies:
        cutoff = now - policy.period_seconds
        added, removed = _changed_after(history.added, cutoff), _changed_after(history.removed, cutoff)
        start = current - added + removed
        if policy.type == "Pods":
            limits.append(start + sign * policy.value)
        elif sign > 0:
            limits.append(ceil(start * (1 + policy.value / 100)))
        else:
            limits.append(int(start * (1 - policy.value / 100)))
    farthest: Callable[[Sequence[int]], int] = max if (sign > 0) == (direction.select_policy != "Min") else min
    return farthest(limits)


def _changed_after(entries: tuple[Entry, ...], cutoff: float) -> int:
    return sum(entry.replicas for entry in entries if entry.t > cutoff)


def _remember(entries: tuple[Entry, ...], new: Entry, cutoff: float) -> tuple[Entry, ...]:
    """As the controller does: a new entry takes the place of the last one that is older than `cutoff`."""
    old = [index for index, entry in enumerate(entries) if entry.t < cutoff]
    return (*entries[: old[-1]], new, *entries[old[-1] + 1 :]) if old else (*entries, new)
