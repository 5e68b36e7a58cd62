"""Decisions computed again from an observation: two live syncs, and what is known and unknown around them."""

from typing import Any

import pytest

from loadgen.autoscaler.recompute import SyncDecision, decisions
from loadgen.autoscaler.syncs import LATENCY_SECONDS, infer
from loadgen.cluster.observation import (
    Behavior,
    Condition,
    Deployment,
    Hpa,
    Observation,
    Pod,
    Policy,
    Sample,
    ScalingRules,
)

BEHAVIOR = Behavior(
    scale_down=ScalingRules(
        stabilization_window_seconds=300, policies=(Policy(type="Percent", value=50, period_seconds=30),)
    )
)


def hpa(t: float, current: int, desired: int | None, utilization: int | None, **changes: Any) -> Hpa:
    spec = {"min": 1, "max": 3, "target_utilization": 70, "behavior": BEHAVIOR}
    status = {"current_replicas": current, "desired_replicas": desired, "utilization": utilization}
    return Hpa.model_validate({"t": t, **spec, **status, "average_milli": utilization, **changes})


def pod(name: str, start: float, ready: float, appeared: float = 0.0, **changes: Any) -> Pod:
    fields = {"name": name, "request_milli": 150, "limit_milli": 500, "start_time": start}
    fields |= {"ready": ((appeared, True),), "ready_stamps": (ready,), "phase": ((appeared, "Running"),)}
    return Pod.model_validate({**fields, **changes})


def sample(t: float, name: str, timestamp: float, window: float, milli: int) -> Sample:
    return Sample(t=t, pod=name, timestamp=timestamp, window=window, usage_nano=milli * 10**6, usage_milli=milli)


def observed(**fields: Any) -> Observation:
    return Observation(release="inference/lm-service", **fields)


# Seconds from 23:04:00 of the two live syncs in the design notes: at 25 and at 39.
LIVE_PODS = (pod("a", -1050, -1030), pod("b", -6, 18), pod("c", -6, 18))
LIVE = observed(
    hpa=(hpa(0.1, 3, 3, 280), hpa(25.02, 3, 3, 250), hpa(39.52, 3, 3, 162)),
    deployment=(Deployment(t=0, desired=3, replicas=3),),
    pods=LIVE_PODS,
    samples=(
        sample(20, "a", 4, 15.462, 375),
        sample(20, "b", 14, 13.263, 305),
        sample(20, "c", 12, 10.549, 292),
        sample(35, "a", 24, 19.816, 244),
        sample(35, "b", 25, 11.193, 85),
        sample(35, "c", 30, 18.538, 116),
    ),
)


def judge(observation: Observation) -> list[SyncDecision]:
    return [made for made in decisions(observation) if made.seen]


def test_the_two_live_syncs():
    first, second = judge(LIVE)
    assert (first.proposed, first.desired, first.observed, first.limited_by) == (4, 3, 3, "maxReplicas")
    assert (second.proposed, second.desired, second.observed, second.limited_by) == (3, 3, 3, None)
    assert (first.differs, second.differs) == (False, False)
    assert first.why == (
        "1 ready pod uses 250% of the requested CPU, 3.57 times the target of 70%. "
        "Counting 2 pods not ready long enough as idle, it is 1.19 times the target. "
        "1.19 x 3, rounded up, makes 4 replicas. maxReplicas cut it to 3."
    )
    assert second.inputs.unready == ("b", "c")
    assert (first.reason, second.reason) == ("limited", "direction")


def test_a_decision_that_is_not_the_algorithms_is_marked():
    wrong = LIVE.model_copy(update={"hpa": (hpa(0.1, 3, 3, 280, max=9), hpa(25.02, 3, 7, 250, max=9))})
    (made,) = judge(wrong)
    assert (made.desired, made.observed, made.differs, made.unknown) == (4, 7, True, ())


def test_a_sample_that_arrived_just_after_the_sync_is_taken_if_the_status_shows_it():
    late = [s.model_copy(update={"t": 25.6}) if s.t == 20 else s for s in LIVE.samples]
    (first, _) = judge(LIVE.model_copy(update={"samples": tuple(late)}))
    assert (first.proposed, first.unknown) == (4, ())


def test_samples_that_do_not_make_the_shown_percentage_are_not_judged():
    other = LIVE.model_copy(update={"hpa": (hpa(0.1, 3, 3, 280), hpa(25.02, 3, 1, 90))})
    (made,) = judge(other)
    assert made.unknown[0] == "the samples seen here make 250%, the status says 90%"
    assert not made.differs


QUIET = observed(
    hpa=(hpa(0.1, 3, 3, 10), hpa(15.12, 3, 3, 8), hpa(30.14, 3, 3, 9)),
    pods=tuple(pod(name, -1000, -990) for name in "abc"),
    samples=tuple(sample(t, name, t - 5, 15, milli) for t, milli in ((14.0, 12), (29.0, 14)) for name in "abc"),
)


def test_what_came_before_observation_may_hold_back_scaling_down_and_that_is_said():
    first, _ = judge(QUIET)
    assert (first.proposed, first.desired, first.observed, first.differs) == (1, 1, 3, False)
    assert first.unknown == ("recommendations before observation began, within the window of scaleDown",)


def test_conditions_that_show_the_same_reasons_leave_nothing_unknown():
    able, limited = "ReadyForNewScale", "TooFewReplicas"
    conditions = (
        Condition(type="AbleToScale", status="True", reason=able),
        Condition(type="ScalingLimited", status="True", reason=limited),
    )
    idle = sample(14.0, "a", 9, 15, 0)
    run = observed(
        hpa=(hpa(0.1, 1, 1, 1), hpa(15.12, 1, 1, 0, conditions=conditions)),
        pods=(pod("a", -1000, -990),),
        samples=(idle,),
    )
    (made,) = judge(run)
    assert (made.proposed, made.desired, made.limited_by, made.unknown) == (0, 1, "minReplicas", ())


def test_a_change_larger_than_without_memories_differs_even_then():
    too_far = QUIET.model_copy(update={"hpa": (hpa(0.1, 9, 9, 10, max=9), hpa(15.12, 9, 1, 8, max=9))})
    (made,) = judge(too_far)
    assert (made.desired, made.observed, made.differs) == (4, 1, True)


def test_earlier_recommendations_of_the_run_hold_back_scaling_down():
    busy = sample(14.0, "a", 9, 15, 400)
    run = observed(
        hpa=(hpa(0.1, 1, 1, 50), hpa(15.12, 1, 3, 266), hpa(30.14, 3, 3, 4)),
        pods=(pod("a", -1000, -990),),
        samples=(busy, sample(29.0, "a", 24, 15, 6)),
    )
    up, down = judge(run)
    assert (up.proposed, up.desired, up.limited_by) == (4, 3, "maxReplicas")
    assert (down.proposed, down.desired, down.limited_by) == (1, 3, "scaleDown stabilization")
    assert down.why.endswith("makes 1 replica. scaleDown stabilization keeps it at 3.")
    assert down.reason == "stabilized"


def test_replicas_out_of_bounds_need_no_metrics():
    run = observed(hpa=(hpa(0.1, 5, 5, None), hpa(15.12, 5, 3, None)))
    (made,) = judge(run)
    assert (made.desired, made.reason, made.limited_by, made.proposed) == (3, "bounds", "maxReplicas", None)


def test_without_samples_nothing_changes():
    run = LIVE.model_copy(update={"samples": (), "hpa": (hpa(0.1, 3, 3, 280), hpa(15.1, 3, 3, None))})
    (made,) = judge(run)
    assert (made.reason, made.desired, made.differs) == ("no_metrics", 3, False)
    assert made.why.endswith("so 3 replicas stay.")
    assert made.inputs.error and made.inputs.error.endswith("no metrics returned from resource metrics API")


def test_other_metrics_of_the_autoscaler_are_told():
    run = LIVE.model_copy(update={"hpa": (hpa(0.1, 3, 3, 280, other_metrics=("Pods",)), LIVE.hpa[1])})
    assert judge(run)[0].unknown == ("the HPA has other metrics, which are not observed: Pods",)


def test_a_pod_that_comes_and_one_that_goes_count_only_while_they_are_there():
    new = Pod(name="b", request_milli=150, start_time=20, phase=((20.0, "Pending"),))
    gone = pod("c", -1000, -990, gone=10.0)
    run = observed(
        hpa=(hpa(0.1, 1, 1, 50), hpa(15.12, 1, 1, 73), hpa(30.14, 1, 1, 74)),
        pods=(pod("a", -1000, -990), new, gone),
        samples=(sample(14, "a", 9, 15, 110), sample(14, "c", 5, 15, 1), sample(29, "a", 24, 15, 111)),
    )
    first, second = judge(run)
    assert (first.inputs.ready, first.inputs.unready) == (("a",), ())
    assert (second.inputs.ready, second.inputs.unready) == (("a",), ("b",))


def test_syncs_that_left_no_trace_are_inferred_from_those_that_did():
    statuses = (hpa(3.0, 1, 1, 1), hpa(30.0, 1, 1, 2), hpa(75.1, 1, 1, 3))
    run = observed(hpa=statuses, samples=(sample(100, "a", 95, 15, 1),))
    times = [round(sync.t + LATENCY_SECONDS, 2) for sync in infer(run)]
    assert times == [15.0, 30.0, 45.03, 60.07, 75.1, 90.12]
    assert [sync.seen for sync in infer(run)] == [False, True, False, False, True, False]


def test_a_changed_spec_is_no_sync():
    assert infer(observed(hpa=(hpa(0.1, 1, 1, 1), hpa(9.0, 1, 1, 1, max=9)))) == []


def test_times_of_the_controllers_log_take_the_place_of_inferred_ones():
    made = decisions(LIVE, [25.0, 39.5])
    assert [(d.t, d.proposed) for d in made] == [(25.0, 4), (39.5, 3)]


@pytest.mark.parametrize("fields", [{}, {"hpa": (hpa(0.1, 1, 1, 1),)}])
def test_without_a_sync_there_are_no_decisions(fields):
    assert decisions(observed(**fields)) == []


def test_a_status_without_a_percentage_is_a_sync_without_metrics():
    """In a real run metrics-server answered this client and not the controller, which then remembered nothing of it."""
    silent = (hpa(0.1, 3, 3, 280), hpa(25.02, 3, 3, None), hpa(39.52, 3, 3, 162))
    first, second = judge(LIVE.model_copy(update={"hpa": silent}))
    assert (first.proposed, first.desired, first.unknown) == (None, 3, ())
    assert second.proposed == 3


def test_a_new_autoscaler_without_metrics_keeps_the_replicas():
    failed = Condition(type="ScalingActive", status="False", reason="FailedGetResourceMetric")
    changes = (hpa(0.1, 1, None, None), hpa(25.02, 1, None, None, conditions=(failed,)))
    new = observed(hpa=changes, deployment=(Deployment(t=0, desired=1, replicas=1),))
    made = decisions(new)[-1]
    assert (made.desired, made.observed, made.differs) == (1, 1, False) and made.why.endswith("so 1 replica stays.")
