"""From samples to a proposal: two syncs of a real cluster as known answers, and what must hold for all pods."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.autoscaler.proposal import MetricsUnavailable, PodState, Sample, group, propose
from loadgen.cluster.observation import Behavior, ScalingRules

NAMES = st.sampled_from("abcdefgh")
TIMES = st.integers(-900, 0)
SAMPLES = st.builds(Sample, st.integers(0, 2000), TIMES.map(float), st.integers(10, 20).map(float))
PODS = st.builds(
    PodState,
    name=NAMES,
    phase=st.sampled_from(["Running", "Running", "Pending", "Failed"]),
    request_milli=st.integers(1, 500),
    deleting=st.booleans(),
    start_time=st.none() | TIMES.map(float),
    ready=st.none() | st.booleans(),
    ready_since=TIMES.map(float),
    sample=st.none() | SAMPLES,
)
SETS = st.lists(PODS, min_size=1, max_size=8, unique_by=lambda pod: pod.name)


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def live_pod(name: str, started: str, ready: str, usage_milli: int, timestamp: str, window: float) -> PodState:
    sample = Sample(usage_milli, seconds(timestamp), window)
    return PodState(name, "Running", 150, False, seconds(started), True, seconds(ready), sample)


def live_pods(*samples: tuple[int, str, float]) -> list[PodState]:
    """Pod A is old, B and C have just started; each has used so many millicores until this time in this window."""
    lives = [("a", "22:46:30", "22:46:50"), ("b", "23:03:54", "23:04:18"), ("c", "23:03:54", "23:04:18")]
    return [live_pod(*life, *sample) for life, sample in zip(lives, samples, strict=True)]


LIVE = [
    pytest.param(
        "23:04:25",
        [(375, "23:04:04", 15.462), (305, "23:04:14", 13.263), (292, "23:04:12", 10.549)],
        (4, 250, 375),
        id="two pods without a full window since ready",
    ),
    pytest.param(
        "23:04:39",
        [(244, "23:04:24", 19.816), (85, "23:04:25", 11.193), (116, "23:04:30", 18.538)],
        (3, 162, 244),
        id="one window shorter than the time since ready, still before it",
    ),
]


@pytest.mark.parametrize(("sync", "samples", "expected"), LIVE)
def test_syncs_of_a_real_cluster(sync, samples, expected):
    proposal = propose(live_pods(*samples), current=3, target=70, now=seconds(sync))
    assert (proposal.replicas, proposal.utilization, proposal.average_milli) == expected
    assert proposal.groups.unready == ("b", "c")


def steady(usage_milli: int, **changes: Any) -> PodState:
    """A pod that has been ready for long, with a request of 100m."""
    pod = PodState("a", "Running", 100, False, -1000.0, True, -990.0, Sample(usage_milli, -5.0, 15.0))
    return replace(pod, **changes)


@pytest.mark.parametrize(
    ("usage", "replicas", "reason"),
    [(77, 1, "tolerated"), (78, 2, "proportional"), (63, 1, "tolerated"), (62, 1, "proportional")],
)
def test_the_tolerance_includes_its_ends(usage, replicas, reason):
    proposal = propose([steady(usage)], current=1, target=70, now=0)
    assert (proposal.replicas, proposal.reason) == (replicas, reason)


def test_each_direction_has_its_own_tolerance():
    pods = [steady(90, name="a"), steady(90, name="b")]
    assert propose(pods, 2, 70, 0, Behavior(scale_up=ScalingRules(tolerance=0.5))).replicas == 2
    assert propose(pods, 2, 70, 0, Behavior(scale_up=ScalingRules(tolerance=0.0))).replicas == 3
    low = [steady(50, name=name) for name in "abcd"]
    assert propose(low, 4, 70, 0, Behavior(scale_down=ScalingRules(tolerance=0.5))).replicas == 4
    assert propose(low, 4, 70, 0, Behavior(scale_down=ScalingRules(tolerance=0.0))).replicas == 3


def test_utilization_is_truncated_before_it_is_compared():
    pods = [replace(steady(233), request_milli=300)]  # 77.67% of the request
    assert propose(pods, current=1, target=70, now=0).reason == "tolerated"


def test_a_pod_without_a_sample_holds_up_scaling_down():
    quiet = [steady(10, name="a"), steady(0, name="b", sample=None)]
    proposal = propose(quiet, current=2, target=70, now=0)
    assert proposal.second_ratio == 55 / 70  # the missing one counts as its whole request
    assert (proposal.replicas, proposal.reason) == (2, "proportional")


def test_pods_without_a_sample_dampen_scaling_up():
    missing = [steady(0, name="b", sample=None), steady(0, name="c", sample=None)]
    flipped = propose([steady(180, name="a"), *missing], current=3, target=70, now=0)
    assert (flipped.replicas, flipped.reason, flipped.second_ratio) == (3, "direction", 60 / 70)
    fewer = propose([steady(300, name="a"), *missing], current=9, target=70, now=0)
    assert (fewer.replicas, fewer.reason, fewer.second_ratio) == (9, "direction", 100 / 70)


def test_a_pending_pod_counts_as_idle_when_scaling_up_and_not_at_all_when_scaling_down():
    pending = steady(0, name="b", phase="Pending", sample=None)
    assert propose([steady(300), pending], current=2, target=70, now=0).second_ratio == 150 / 70
    assert propose([steady(10), pending], current=2, target=70, now=0).replicas == 1


@pytest.mark.parametrize(
    ("pod", "which"),
    [
        (steady(1), "ready"),
        (steady(1, deleting=True), "ignored"),
        (steady(1, phase="Failed"), "ignored"),
        (steady(1, phase="Pending"), "unready"),
        (steady(1, sample=None), "missing"),
        (steady(1, ready=None), "unready"),
        (steady(1, start_time=None), "unready"),
        (steady(1, ready=False, ready_since=-10.0), "ready"),  # was ready before
        (steady(1, ready=False, ready_since=-975.0), "unready"),  # never was: within 30 s of its start
        (steady(1, start_time=-299.0, ready=False), "unready"),
        (steady(1, start_time=-299.0, ready_since=-20.0), "ready"),  # sample and window end and begin there
        (steady(1, start_time=-299.0, ready_since=-19.9), "unready"),
        (steady(1, start_time=-300.0, ready_since=-19.9), "ready"),  # older than the initialization period
    ],
)
def test_group(pod, which):
    groups = group([pod], now=0)
    assert getattr(groups, which) == ("a",)


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ([steady(1, sample=None)], "no metrics returned from resource metrics API"),
        ([steady(1, ready=None)], "did not receive metrics for targeted pods (pods might be unready)"),
        ([steady(1), steady(1, name="b", request_milli=None)], "missing request for cpu in a container of Pod b"),
    ],
)
def test_what_cannot_be_computed_is_told(pods, message):
    with pytest.raises(MetricsUnavailable) as error:
        propose(pods, current=1, target=70, now=0)
    assert message in str(error.value)


@pytest.mark.slow
@given(SETS, st.integers(1, 8), st.integers(1, 150))
def test_proposals_never_contradict_their_ratio(pods, current, target):
    try:
        proposal = propose(pods, current, target, 0)
    except MetricsUnavailable:
        return
    if proposal.reason != "proportional":
        assert proposal.replicas == current
    elif proposal.second_ratio is not None:
        assert (proposal.replicas - current) * (proposal.second_ratio - 1) >= 0


@pytest.mark.slow
@given(SETS, st.integers(1, 8), st.integers(1, 150), st.randoms())
def test_the_order_of_pods_does_not_matter(pods, current, target, random):
    def result(members):
        try:
            proposal = propose(members, current, target, 0)
        except MetricsUnavailable:
            return None
        return proposal.replicas, proposal.utilization, proposal.second_ratio

    shuffled = random.sample(pods, len(pods))
    assert result(shuffled) == result(pods)
