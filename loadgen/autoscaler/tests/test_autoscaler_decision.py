"""From a proposal to a decision: bounds, stabilization, rate limits, and what the controller remembers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.autoscaler.decision import Decision, Entry, History, decide, rules
from loadgen.autoscaler.proposal import tolerances
from loadgen.cluster.observation import Behavior, Controller, Policy, ScalingRules

CONTROLLER, NOTHING = Controller(), History()
CHART = Behavior(
    scale_up=ScalingRules(
        stabilization_window_seconds=0,
        select_policy="Max",
        policies=(
            Policy(type="Percent", value=100, period_seconds=15),
            Policy(type="Pods", value=4, period_seconds=15),
        ),
    ),
    scale_down=ScalingRules(
        stabilization_window_seconds=300,
        select_policy="Max",
        policies=(Policy(type="Percent", value=50, period_seconds=30),),
    ),
)


def one(proposed, current, minimum=1, maximum=5, behavior=CHART, history=NOTHING, now=0.0) -> Decision:
    return decide(proposed, current, minimum, maximum, behavior, CONTROLLER, history, now)


def down(*policies: Policy, select: str = "Max", window: int = 0) -> Behavior:
    direction = ScalingRules(stabilization_window_seconds=window, select_policy=select, policies=policies or None)
    return Behavior(scale_down=direction)


def up(*policies: Policy, select: str = "Max", window: int = 0) -> Behavior:
    direction = ScalingRules(stabilization_window_seconds=window, select_policy=select, policies=policies or None)
    return Behavior(scale_up=direction)


def test_the_maximum_cuts_a_proposal():
    decision = one(9, 3)
    assert (decision.desired, decision.scaling_limited) == (5, "TooManyReplicas")
    assert decision.message == "cpu resource utilization (percentage of request) above target"


def test_the_rate_limit_cuts_a_proposal():
    assert (one(20, 1, maximum=50).desired, one(20, 1, maximum=50).scaling_limited) == (5, "ScaleUpLimit")
    assert one(20, 6, maximum=50).desired == 12


def test_a_limit_counts_from_the_start_of_its_period():
    first = one(20, 1, maximum=50)
    soon = one(20, 5, maximum=50, history=first.history, now=14.0)
    assert (soon.desired, soon.scaling_limited) == (5, "ScaleUpLimit")  # 1 at the start of the period: 2, or 5 pods
    later = one(20, 5, maximum=50, history=first.history, now=15.0)
    assert later.desired == 10


@pytest.mark.parametrize(("current", "expected"), [(5, 2), (4, 2), (3, 1), (2, 1)])
def test_percent_down_is_truncated(current, expected):
    behavior = down(Policy(type="Percent", value=50, period_seconds=30))
    assert one(0, current, maximum=9, behavior=behavior).desired == max(1, expected)


def test_percent_up_is_rounded_up():
    assert one(9, 1, maximum=9, behavior=up(Policy(type="Percent", value=10, period_seconds=15))).desired == 2


def test_min_takes_the_smallest_change_and_disabled_none():
    policies = (Policy(type="Pods", value=1, period_seconds=15), Policy(type="Percent", value=100, period_seconds=15))
    assert one(9, 4, maximum=9, behavior=up(*policies, select="Min")).desired == 5
    assert one(9, 4, maximum=9, behavior=up(*policies, select="Disabled")).desired == 4
    assert one(1, 4, maximum=9, behavior=down(*policies, select="Min")).desired == 3
    disabled = one(1, 4, maximum=9, behavior=down(*policies, select="Disabled"))
    assert (disabled.desired, disabled.scaling_limited) == (4, "ScaleDownLimit")


def test_scaling_down_waits_for_the_highest_recent_recommendation():
    history = History(recommendations=(Entry(0.0, 4),))
    decision = one(1, 4, history=history, now=299.0)
    assert (decision.desired, decision.able_to_scale) == (4, "ScaleDownStabilized")
    assert one(1, 4, history=history, now=300.0).desired == 2  # half of 4


def test_scaling_up_waits_for_the_lowest_recent_recommendation():
    history = History(recommendations=(Entry(0.0, 2),))
    assert one(4, 1, behavior=up(window=60), history=history, now=59.0).desired == 2
    assert one(4, 1, behavior=up(window=60), history=history, now=60.0).desired == 4


@pytest.mark.parametrize(
    ("current", "desired", "message"),
    [
        (7, 5, "Current number of replicas above Spec.MaxReplicas"),
        (1, 2, "Current number of replicas below Spec.MinReplicas"),
        (0, 0, ""),
    ],
)
def test_replicas_outside_of_the_bounds_are_moved_without_a_look_at_metrics(current, desired, message):
    decision = one(None, current, minimum=2)
    assert (decision.desired, decision.message) == (desired, message)


def test_without_metrics_nothing_changes_and_nothing_is_remembered():
    history = History(recommendations=(Entry(0.0, 2),))
    assert one(None, 3, history=history, now=9.0) == Decision(3, 3, history=history)


def test_a_controller_starts_with_the_replicas_that_it_sees():
    assert one(1, 4).desired == 4
    assert one(1, 4).history.recommendations == (Entry(0.0, 4), Entry(0.0, 1))


def test_without_a_behavior_the_controllers_own_window_and_limit_hold():
    assert one(9, 1, maximum=20, behavior=None).desired == 4
    assert one(9, 3, maximum=20, behavior=None).desired == 6
    history = History(recommendations=(Entry(0.0, 3),))
    assert one(1, 3, behavior=None, history=history, now=300.0).desired == 3
    assert one(1, 3, behavior=None, history=history, now=300.1).desired == 1


def test_defaults_of_a_behavior():
    default_up, default_down = rules(Behavior(scale_up=ScalingRules(tolerance=0.05)))
    assert (default_up.stabilization_seconds, default_down.stabilization_seconds) == (0, 300)
    assert [policy.value for policy in default_up.policies] == [4, 100]
    assert [policy.value for policy in default_down.policies] == [100]
    assert tolerances(Behavior(scale_up=ScalingRules(tolerance=0.05)), CONTROLLER) == (0.05, 0.1)


POLICIES = st.builds(
    Policy,
    type=st.sampled_from(["Pods", "Percent"]),
    value=st.integers(1, 100),
    periodSeconds=st.integers(1, 120),
)
RULES = st.builds(
    ScalingRules,
    stabilization_window_seconds=st.none() | st.integers(0, 120),
    select_policy=st.sampled_from([None, "Max", "Min", "Disabled"]),
    policies=st.none() | st.lists(POLICIES, min_size=1, max_size=3).map(tuple),
)
BEHAVIORS = st.none() | st.builds(Behavior, scale_up=st.none() | RULES, scale_down=st.none() | RULES)


@given(BEHAVIORS, st.lists(st.none() | st.integers(0, 30), max_size=30), st.integers(1, 9), st.integers(0, 9))
def test_replicas_stay_within_the_bounds_and_never_pass_the_proposal(behavior, proposals, minimum, more):
    maximum, current, history = minimum + more, minimum, NOTHING
    for sync, proposed in enumerate(proposals):
        decision = decide(proposed, current, minimum, maximum, behavior, CONTROLLER, history, sync * 15.0)
        assert minimum <= decision.desired <= maximum
        if proposed is not None and behavior is not None:
            low, high = sorted([proposed, current])
            assert min(low, minimum) <= decision.desired <= max(high, minimum)
        current, history = decision.desired, decision.history
