"""Says in a code and in sentences why a decision came out as it did."""

from loadgen.autoscaler.decision import Decision
from loadgen.autoscaler.proposal import MetricsUnavailable, Proposal
from loadgen.cluster.observation import Hpa

LIMITS = {
    "TooManyReplicas": "maxReplicas",
    "TooFewReplicas": "minReplicas",
    "ScaleUpLimit": "scaleUp policies",
    "ScaleDownLimit": "scaleDown policies",
    "ScaleUpStabilized": "scaleUp stabilization",
    "ScaleDownStabilized": "scaleDown stabilization",
}


def limited_by(made: Decision, proposed: int | None) -> str | None:
    """What kept the decision from the proposal, None if nothing did."""
    if made.message.startswith("Current number of replicas"):
        return "maxReplicas" if "above" in made.message else "minReplicas"
    if proposed is None or made.desired == proposed:
        return None
    return LIMITS[made.scaling_limited if made.desired != made.stabilized else made.able_to_scale]


def reason(made: Decision, chosen: Proposal | MetricsUnavailable, current: int) -> str:
    """One of: bounds, no_metrics, scaled_up, scaled_down, tolerated, direction, unchanged, stabilized, limited."""
    if made.message.startswith("Current number of replicas"):
        return "bounds"
    if isinstance(chosen, MetricsUnavailable):
        return "no_metrics"
    if made.desired != current:
        return "scaled_up" if made.desired > current else "scaled_down"
    if chosen.replicas == current:
        return "unchanged" if chosen.reason == "proportional" else chosen.reason
    return "stabilized" if made.stabilized == current else "limited"


def sentence(made: Decision, chosen: Proposal | MetricsUnavailable, current: int, spec: Hpa) -> str:
    """Why, in sentences with the figures."""
    if made.message.startswith("Current number of replicas"):
        bound = f"the maximum of {spec.max}" if "above" in made.message else f"the minimum of {spec.min}"
        verb = "is" if current == 1 else "are"
        return f"{_replicas(current)} {verb} outside of {bound}, so the metrics are not read."
    if isinstance(chosen, MetricsUnavailable):
        return f"The metrics cannot be used ({chosen}), so {_stay(current)}."
    return " ".join(
        [_first_pass(chosen, spec), *_second_pass(chosen, spec), _proposed(chosen, current), *_cut(made, chosen)]
    )


def _first_pass(chosen: Proposal, spec: Hpa) -> str:
    ready = len(chosen.groups.ready)
    return (
        f"{ready} ready {'pod uses' if ready == 1 else 'pods use'} {chosen.utilization}% of the requested CPU, "
        f"{chosen.ratio:.2f} times the target of {spec.target_utilization}%."
    )


def _second_pass(chosen: Proposal, spec: Hpa) -> list[str]:
    if chosen.second_ratio is None:
        return []
    up, counted = chosen.ratio > 1, []
    if chosen.groups.unready and up:
        counted.append(f"{_pods(len(chosen.groups.unready), 'not ready long enough')} as idle")
    if chosen.groups.missing and chosen.ratio != 1:
        usage = "idle" if up else f"using {max(100, spec.target_utilization or 0)}%"
        counted.append(f"{_pods(len(chosen.groups.missing), 'without a sample')} as {usage}")
    if not counted:
        return []
    return [f"Counting {' and '.join(counted)}, it is {chosen.second_ratio:.2f} times the target."]


def _proposed(chosen: Proposal, current: int) -> str:
    if chosen.reason == "tolerated":
        return f"That is within the tolerance: {_stay(current)}."
    if chosen.reason == "direction":
        return f"By that the number would move the other way: {_stay(current)}."
    groups = chosen.groups
    pods = len(groups.ready)
    ratio = chosen.ratio
    if chosen.second_ratio is not None:
        ratio = chosen.second_ratio
        pods += len(groups.missing) * (chosen.ratio != 1) + len(groups.unready) * (chosen.ratio > 1)
    return f"{ratio:.2f} x {pods}, rounded up, makes {_replicas(chosen.replicas)}."


def _cut(made: Decision, chosen: Proposal) -> list[str]:
    result = []
    if made.stabilized != chosen.replicas:
        result.append(f"{LIMITS[made.able_to_scale]} keeps it at {made.stabilized}.")
    if made.desired != made.stabilized:
        result.append(f"{LIMITS[made.scaling_limited]} cut it to {made.desired}.")
    return result


def _replicas(number: int) -> str:
    return f"{number} {'replica' if number == 1 else 'replicas'}"


def _stay(number: int) -> str:
    return f"{_replicas(number)} {'stays' if number == 1 else 'stay'}"


def _pods(number: int, which: str) -> str:
    return f"{number} {'pod' if number == 1 else 'pods'} {which}"
