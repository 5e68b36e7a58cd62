"""Computes each decision of the autoscaler again, from what was observed of the cluster, and says why it came out so.

What the controller knew at a sync is known here only nearly: samples are asked for once a second, and other arrivals
may be milliseconds apart. So a few states around the sync are tried, and the one that yields the percentage in the
HPA's status is the one that the controller saw. If none does, the decision is not judged, and that is said.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from pydantic import BaseModel, ConfigDict

from loadgen.autoscaler import decision, proposal, why
from loadgen.autoscaler.decision import Decision, Entry, History
from loadgen.autoscaler.proposal import MetricsUnavailable, PodState, Proposal
from loadgen.autoscaler.states import States, at
from loadgen.autoscaler.syncs import Sync, infer
from loadgen.cluster.observation import Behavior, Controller, Hpa, Observation

UNREAD = MetricsUnavailable("the replicas are out of bounds")
UNANSWERED = MetricsUnavailable("the status of the HPA shows none")


class Inputs(BaseModel):
    """What went into a decision: names of pods, and the figures of both passes. None where none could be computed."""

    model_config = ConfigDict(frozen=True)

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    utilization: int | None = None
    observed_utilization: int | None = None
    average_milli: int | None = None
    ratio: float | None = None
    second_ratio: float | None = None
    target: int | None = None
    minimum: int
    maximum: int
    stabilized: int | None = None
    error: str | None = None


class SyncDecision(BaseModel):
    """A sync at `t`: `current` replicas before it; `proposed` before limits and `desired` after them, by the algorithm;
    and `observed`, which the controller has set.

    `seen` is false for a sync that left no trace: its time is inferred. `reason` is a code, `why` a sentence;
    `limited_by` is maxReplicas, minReplicas, scaleUp policies, scaleDown policies, scaleUp stabilization,
    scaleDown stabilization or None. `differs` is true where the observed decision is not the algorithm's, although
    everything that it takes is known; `unknown` lists what is not.
    """

    model_config = ConfigDict(frozen=True)

    t: float
    seen: bool
    current: int
    proposed: int | None
    desired: int
    observed: int
    reason: str
    why: str
    limited_by: str | None
    differs: bool
    unknown: tuple[str, ...]
    inputs: Inputs


def decisions(observation: Observation, times: Sequence[float] | None = None) -> list[SyncDecision]:
    """Every sync that can be inferred, in the order of time; or those at `times`, from the controller's own log."""
    if not observation.hpa:
        return []
    syncs = infer(observation) if times is None else [_logged(observation, t) for t in times]
    history = History(recommendations=(Entry(-inf, 0),))  # what the controller remembers is not known: too old to count
    states, result = States(observation), []
    for sync in syncs:
        made, history = _decide(observation, states, sync, history)
        result.append(made)
    return result


def _logged(observation: Observation, t: float) -> Sync:
    """The sync at a known time: what it wrote arrives soon after it, if it has written."""
    soon = [hpa for hpa in observation.hpa if t <= hpa.t <= t + 2]
    return Sync(t, True, soon[0]) if soon else Sync(t, False, at(observation.hpa, t))


def _decide(observation: Observation, states: States, sync: Sync, history: History) -> tuple[SyncDecision, History]:
    hpa, controller, now = sync.status, observation.controller, sync.t
    spec = at(observation.hpa, now)  # the spec that the controller knew; the status is the one that it wrote
    current = _current(observation, sync)
    observed = current if hpa.desired_replicas is None else hpa.desired_replicas
    within = spec.min <= current <= spec.max
    proposals = [_propose(pods, current, spec, controller, now) for pods in states.around(now)] if within else [UNREAD]
    if within and hpa.utilization is None and spec.target_utilization is not None:
        proposals.append(UNANSWERED)  # samples were seen here, but the controller got none
    matching = [p for p in proposals if _utilization(p) == hpa.utilization]

    def decide(made: Proposal | MetricsUnavailable) -> Decision:
        return decision.decide(_replicas(made), current, spec.min, spec.max, spec.behavior, controller, history, now)

    candidates = matching or proposals
    chosen = next((p for p in candidates if decide(p).desired == observed), candidates[0])
    made = decide(chosen)
    unknown = _unknown_metrics(sync, spec, chosen, matching) if within else []
    if within and isinstance(chosen, Proposal) and not _agrees(made, hpa, current):
        unknown += _unknown_history(observation, sync, spec, current, chosen.replicas, made.desired, observed)
    result = SyncDecision(
        t=round(now, 3),
        seen=sync.seen,
        current=current,
        proposed=_replicas(chosen),
        desired=made.desired,
        observed=observed,
        reason=why.reason(made, chosen, current),
        why=why.sentence(made, chosen, current, spec),
        limited_by=why.limited_by(made, _replicas(chosen)),
        differs=made.desired != observed and not unknown,
        unknown=tuple(unknown),
        inputs=_inputs(spec, chosen, made, hpa.utilization),
    )
    # The next sync follows on what the controller has done, whatever it should have done.
    done = replace(made.history, added=history.added, removed=history.removed)
    return result, done.changed(now, current, observed, spec.behavior)


def _agrees(made: Decision, status: Hpa, current: int) -> bool:
    """Whether the status shows this very decision: the number, and the reasons of its conditions."""
    reasons = {condition.type: condition.reason for condition in status.conditions}
    if made.desired != status.desired_replicas or made.scaling_limited != reasons.get("ScalingLimited"):
        return False
    return made.desired != current or made.able_to_scale == reasons.get("AbleToScale")


def _current(observation: Observation, sync: Sync) -> int:
    """Replicas of the target's spec at the sync: a status that the sync wrote says it; else the Deployment does."""
    if sync.seen and sync.status.current_replicas is not None:
        return sync.status.current_replicas
    if observation.deployment:
        return at(observation.deployment, sync.t).desired
    return sync.status.current_replicas or 0


def _propose(
    pods: Sequence[PodState], current: int, spec: Hpa, controller: Controller, now: float
) -> Proposal | MetricsUnavailable:
    if spec.target_utilization is None:
        return MetricsUnavailable("the HPA has no target for CPU utilization")
    try:
        return proposal.propose(pods, current, spec.target_utilization, now, spec.behavior, controller)
    except MetricsUnavailable as error:
        return error


def _replicas(made: Proposal | MetricsUnavailable) -> int | None:
    return made.replicas if isinstance(made, Proposal) else None


def _utilization(made: Proposal | MetricsUnavailable) -> int | None:
    return made.utilization if isinstance(made, Proposal) else None


def _unknown_metrics(
    sync: Sync, spec: Hpa, chosen: Proposal | MetricsUnavailable, matching: Sequence[Proposal | MetricsUnavailable]
) -> list[str]:
    """What is not known of the metrics that the controller saw."""
    result = []
    if spec.other_metrics:
        result.append(f"the HPA has other metrics, which are not observed: {', '.join(spec.other_metrics)}")
    if not matching:
        computed, written = _percent(_utilization(chosen)), _percent(sync.status.utilization)
        result.append(f"the samples seen here make {computed}, the status says {written}")
    if len({_replicas(made) for made in matching}) > 1:
        result.append("samples or pods changed around the sync, and the status does not tell which of them it saw")
    return result


def _unknown_history(
    observation: Observation, sync: Sync, spec: Hpa, current: int, proposed: int, desired: int, observed: int
) -> list[str]:
    """What the controller remembers from before observation began, where it can have held this decision back."""
    start, last_scale = observation.hpa[0].t, observation.hpa[0].last_scale_time
    if proposed == current or abs(observed - current) > abs(desired - current):
        return []  # memories hold back; they never make a change larger
    up, down = decision.rules(spec.behavior or Behavior(), observation.controller)
    direction, name = (up, "scaleUp") if proposed > current else (down, "scaleDown")
    result = []
    if sync.t - direction.stabilization_seconds < start:
        result.append(f"recommendations before observation began, within the window of {name}")
    if last_scale is not None and sync.t - direction.longest_period < last_scale < start:
        result.append(f"changes before observation began, within a period of the policies of {name}")
    return result


def _percent(value: int | None) -> str:
    return "nothing" if value is None else f"{value}%"


def _inputs(spec: Hpa, chosen: Proposal | MetricsUnavailable, made: Decision, observed: int | None) -> Inputs:
    common = Inputs(
        target=spec.target_utilization,
        minimum=spec.min,
        maximum=spec.max,
        stabilized=made.stabilized,
        observed_utilization=observed,
    )
    if isinstance(chosen, MetricsUnavailable):
        return common.model_copy(update={"error": str(chosen)})
    groups = chosen.groups
    return common.model_copy(
        update={
            "ready": groups.ready,
            "unready": groups.unready,
            "missing": groups.missing,
            "ignored": groups.ignored,
            "utilization": chosen.utilization,
            "average_milli": chosen.average_milli,
            "ratio": chosen.ratio,
            "second_ratio": chosen.second_ratio,
        }
    )
