"""The fluid model: fitted to a run whose costs are known, and forecasts that must follow from them."""

from typing import Any

import pytest

from loadgen.autoscaler import forecast
from loadgen.autoscaler.fit import Load, Model, Unfit, fit, load_of
from loadgen.autoscaler.simulate import needs, simulate
from loadgen.cluster.observation import (
    Behavior,
    Controller,
    Deployment,
    Hpa,
    Observation,
    Pod,
    Policy,
    Sample,
    ScalingRules,
)

COST, IDLE = 100.0, 2.0  # millicores x seconds, millicores
BEHAVIOR = Behavior(
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
HPA = Hpa(t=0, min=1, max=5, target_utilization=70, behavior=BEHAVIOR, current_replicas=1, desired_replicas=1)
MODEL = Model(
    cost=COST,
    idle_milli=IDLE,
    residual_milli=0,
    request_milli=100,
    limit_milli=500,
    total_milli=None,
    startup_seconds=(12.0, 14.0),
    startup_milli=300,
    pending_seconds=1,
    serving_seconds=2,
    service_seconds=0.2,
    samples=((5.0, 14.0), (9.0, 16.0), (14.0, 18.0)),
    metrics_seconds=15,
    controller=Controller(),
    hpa=HPA,
    replicas=1,
    assumed=(),
)
SILENT = {
    "timeline": {
        name: [0] * 90 for name in ("second", "phase", "succeeded", "answered", "answered_service_mean", "service_p50")
    },
    "answered_by": [],
}
DEMO = Load(users=(40,) * 120)


def sample(t: float, pod: str, milli: float, window: float = 15) -> Sample:
    return Sample(t=t + 5, pod=pod, timestamp=t, window=window, usage_nano=round(milli * 1e6), usage_milli=round(milli))


def document(**changes: Any) -> dict[str, Any]:
    """A run of 90 s: 2 answers a second from one pod, from 30 s on 4 a second from two, which share them."""
    new = Pod(
        name="b",
        request_milli=100,
        limit_milli=500,
        phase=((14.0, "Pending"), (15.0, "Running")),
        ready=((15.5, False), (27.0, True)),
        ready_stamps=(15.0, 27.0),
    )
    old = Pod(name="a", request_milli=100, limit_milli=500, ready=((0.0, True),), ready_stamps=(-900.0,))
    samples = [sample(-5, "a", IDLE), sample(20, "a", IDLE + 2 * COST), sample(25, "b", 311, 9)]
    samples += [sample(t, pod, IDLE + 2 * COST) for t in (50, 65, 80) for pod in "ab"]
    cluster = Observation(
        release="inference/classifier-service",
        hpa=(HPA,),
        deployment=(Deployment(t=0, desired=1), Deployment(t=14, desired=2)),
        pods=(old.model_copy(update={"phase": ((0.0, "Running"),)}), new),
        samples=tuple(samples),
    )
    rates = [2] * 30 + [4] * 60
    timeline = {"second": list(range(90)), "phase": ["load"] * 90, "due": rates, "succeeded": rates, "answered": rates}
    summary = {"longest_silence_seconds": None, "served_by": [{"pod": "b", "first_answer": 30.0}]}
    return {
        "summary": summary,
        "timeline": {**timeline, "in_flight": [1] * 90, "service_p50": [0.2] * 90, "answered_service_mean": [0.2] * 90},
        "answered_by": [{"pod": "a", "answered": [2] * 90}, {"pod": "b", "answered": [0] * 30 + [2] * 60}],
        "cluster": cluster.model_dump(mode="json", by_alias=True),
        **changes,
    }


def test_the_fit_finds_the_costs_that_made_the_run():
    model = fit(document())
    assert [model.cost, model.idle_milli] == pytest.approx([COST, IDLE])
    assert model.residual_milli == pytest.approx(0, abs=1e-6)
    assert model.startup_seconds == (13.0,)
    assert (model.startup_milli, model.pending_seconds, model.serving_seconds) == (311, 1.0, 3.0)
    assert model.pod_rate == pytest.approx((500 - IDLE) / COST)
    assert model.total_milli is None
    assert model.assumed == ()


def test_answers_that_name_their_pod_need_not_be_shared_equally():
    counts = {"a": [2] * 30 + [3] * 60, "b": [0] * 30 + [1] * 60}
    own = document(answered_by=[{"pod": pod, "answered": answered} for pod, answered in counts.items()])
    own["cluster"]["samples"] = [s for s in own["cluster"]["samples"] if s["pod"] == "a"]
    for measured in own["cluster"]["samples"][2:]:
        measured["usage_nano"] = (IDLE + COST * 3) * 1e6
    assert [fit(own).cost, fit(own).idle_milli] == pytest.approx([COST, IDLE])


def test_answers_that_name_no_pod_are_shared_equally():
    own = document(answered_by=[{"pod": None, "answered": [2] * 30 + [4] * 60}])
    assert [fit(own).cost, fit(own).idle_milli] == pytest.approx([COST, IDLE])


def test_a_pod_that_became_ready_shortly_before_the_run_was_not_idle_meanwhile():
    own = document()
    own["cluster"]["pods"][0]["ready_stamps"] = [-10.0]
    own["cluster"]["samples"][0]["usage_nano"] = 400e6
    assert fit(own).cost == pytest.approx(COST, rel=0.02)


def test_an_answer_takes_the_mean_of_short_and_long_ones_while_cpu_is_to_spare():
    own = document()
    own["timeline"]["answered_service_mean"] = [0.1, 1.3] * 45
    assert fit(own).service_seconds == pytest.approx(0.7, abs=0.05)


def test_where_no_cpu_was_to_spare_an_answer_takes_its_cpu_at_the_limit():
    own = document()
    own["timeline"]["answered_service_mean"] = [8.0] * 90
    for measured in own["cluster"]["samples"][1:]:
        measured["usage_nano"] = 490e6
    assert fit(own).service_seconds == pytest.approx(fit(own).cost / 500)


def test_what_a_run_does_not_show_is_assumed_and_told():
    own = document()
    own["cluster"]["pods"] = own["cluster"]["pods"][:1]
    own["cluster"]["samples"] = [s for s in own["cluster"]["samples"] if s["pod"] == "a"]
    assert fit(own).assumed == ("that a new pod is ready after 20 s: none started in the run",)


def test_a_node_with_less_cpu_than_the_pods_limits_bounds_them_together():
    own = document()
    for number, measured in enumerate(own["cluster"]["samples"]):
        if number > 2:
            measured["usage_nano"] = 300 * 10**6
    assert fit(own).total_milli is None  # answers came as fast as ever: the pods had no more to do
    own["timeline"]["service_p50"] = [0.2] * 50 + [0.9] * 40
    assert fit(own).total_milli == pytest.approx(600)
    own["timeline"]["service_p50"] = [0.2, 0.9, 0.2] * 30
    assert fit(own).total_milli is None  # single slow seconds: the pods had no work for more


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": None}, "repeat it with --observe"),
        (SILENT, "a run of at least a minute"),
    ],
)
def test_what_cannot_be_fitted_is_told(changes, message):
    with pytest.raises(Unfit, match=message):
        fit(document(**changes))


def test_the_load_of_a_run():
    assert load_of(document()).rates == (2.0,) * 30 + (4.0,) * 60
    closed = document()
    closed["summary"]["longest_silence_seconds"] = 0.5
    phases = ["load"] * 80 + ["drain"] * 10
    closed["timeline"] |= {"in_flight": [38] * 80 + [40] * 10, "due": [5, 0] * 40 + [0] * 10, "phase": phases}
    assert load_of(closed).users == (40,) * 80 + (0,) * 10


@pytest.mark.slow
def test_the_demonstration_scales_to_its_maximum_when_it_did():
    made = simulate(MODEL, DEMO, seconds=600)
    assert made.most == (5, 5, 5)
    first = made.first_change
    assert first
    assert first[0] <= 31 <= first[2]  # measured on the cluster: new pods 31 s after the load began
    assert made.replicas[115] == (5, 5, 5)
    assert made.replicas[-1] == (1, 1, 1)
    back = next(s for s in range(120, 600) if made.replicas[s][1] < 5)
    assert 120 + 270 < back < 120 + 345  # five minutes after the last high recommendation


def test_a_forecast_is_the_same_for_a_seed():
    assert simulate(MODEL, DEMO, draws=5, seed=3) == simulate(MODEL, DEMO, draws=5, seed=3)


def test_without_load_nothing_happens():
    made = simulate(MODEL, Load(rates=(0.0,) * 120), draws=10)
    assert (made.first_change, made.most, made.answered) == (None, (1, 1, 1), (0, 0, 0))


def test_other_bounds_and_targets():
    steady = Load(rates=(4.0,) * 180)
    three = simulate(MODEL, steady, HPA.model_copy(update={"max": 3}), draws=20)
    assert three.most == (3, 3, 3)
    one = simulate(MODEL, steady, HPA.model_copy(update={"max": 1}), draws=20)
    assert one.first_change is None
    high = simulate(MODEL, steady, HPA.model_copy(update={"target_utilization": 410}), draws=20)
    assert high.most == (1, 1, 1)


def test_a_slower_behavior_comes_later_and_leaves_more_waiting():
    rules = ScalingRules(stabilization_window_seconds=60, policies=(Policy(type="Pods", value=1, period_seconds=60),))
    slow = HPA.model_copy(update={"behavior": Behavior(scale_up=rules)})
    load = Load(rates=(20.0,) * 240)
    own, other = simulate(MODEL, load, draws=20), simulate(MODEL, load, slow, draws=20)
    assert own.first_change and other.first_change
    assert other.first_change[1] > own.first_change[1] + 30
    assert other.wait_seconds[1] > own.wait_seconds[1]
    assert other.answered[1] < own.answered[1]


def test_users_of_a_closed_loop_wait_as_long_as_the_law_of_little_says():
    made = simulate(MODEL, Load(users=(40,) * 100), HPA.model_copy(update={"max": 1}), draws=5)
    wait = 40 / MODEL.pod_rate - MODEL.service_seconds
    assert made.wait_seconds == pytest.approx((wait, wait, wait), abs=0.01)


def test_all_that_is_due_is_answered_if_there_is_time():
    made = simulate(MODEL, Load(rates=(4.0,) * 100 + (0.0,) * 100), draws=10)
    assert made.answered == (400, 400, 400)
    assert made.short_seconds == (0, 0, 0)


def test_what_multiples_of_the_load_need():
    one, ten, hundred = needs(MODEL, 2.0, (1, 10, 100))
    assert (one.pods, ten.pods, hundred.pods) == (3, 30, 295)  # 2 x 100 / (70 - 2)
    assert (one.pods_at_limit, ten.pods_at_limit, hundred.pods_at_limit) == (1, 5, 41)
    assert (ten.requested_cores, ten.rate) == (3.0, 20.0)
    assert (one.seconds, ten.seconds, hundred.seconds) == (15, 60, 105)  # 1, 5, 10, 20, 40, 80, 160, 295


def test_a_disabled_direction_never_reaches_what_is_needed():
    rules = Behavior(scale_up=ScalingRules(select_policy="Disabled"))
    (need,) = needs(MODEL, 20.0, (1,), HPA.model_copy(update={"behavior": rules}))
    assert need.seconds is None


def test_the_forecast_stands_beside_what_was_measured():
    own = document()
    model, run = fit(own), forecast.measured(own)
    assert (run.first_change, run.most, run.replica_seconds, run.answered) == (14, 2, 14 + 76 * 2, 300)
    made = simulate(model, load_of(own), draws=20)
    off = forecast.error(made, run)
    assert off.most == made.most[1] - 2
    assert 0 <= off.within <= 1
    text = forecast.text(model, run, {"as it ran": made}, needs(model, 4.0))
    for part in (
        "A request costs 100.0 ms of CPU, and an idle pod uses 2.0m",
        "answers 5.0 requests/s, and is ready after 13 to 13 s (1 seen)",
        "Forecast minus measured",
        "pods for 70%",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) < 150
