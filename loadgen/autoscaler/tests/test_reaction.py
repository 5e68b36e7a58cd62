"""The reaction, stage by stage, of a run whose times are known."""

import pytest

from loadgen.autoscaler.reaction import load_rise, reaction, recovered
from loadgen.report.tests import documents

STAGES = {
    "the load rises": 30.0,
    "a sample shows it": 47,
    "the autoscaler decides": 50,
    "a new pod is scheduled": 50.3,
    "its container starts": 51.2,
    "it is ready": 60,
    "it is an endpoint": 60.3,
    "a connection reaches it": 62.0,
    "the latency has recovered": 65.0,
}


def test_each_stage_has_its_time_and_its_seconds():
    stages = reaction(documents.observed())
    assert {stage["stage"]: stage["at"] for stage in stages} == pytest.approx(STAGES)
    assert [stage["seconds"] for stage in stages[1:4]] == [17, 3, pytest.approx(0.3)]
    assert stages[1]["floor_seconds"] == stages[2]["floor_seconds"] == 7.5
    assert [stage["stage"] for stage in stages if stage["remedy"]] == ["a sample shows it"], "the longest"


def test_the_first_decision_of_a_new_autoscaler_that_keeps_the_replicas_is_no_reaction():
    document = documents.observed()
    late = document["cluster"]["hpa"][1]["t"]
    document["cluster"]["hpa"][:1] = [documents.hpa(-5, 1, None, None), documents.hpa(35, 1, 1, 60)]
    stages = {stage["stage"]: stage["at"] for stage in reaction(document)}
    assert stages["the autoscaler decides"] == late == 50


def test_a_stage_that_was_not_observed_has_no_time_and_the_next_counts_from_the_one_before():
    document = documents.observed()
    document["cluster"]["samples"] = []
    stages = {stage["stage"]: stage for stage in reaction(document)}
    assert stages["a sample shows it"]["at"] is stages["a sample shows it"]["seconds"] is None
    assert stages["the autoscaler decides"]["seconds"] == 20


def test_a_release_that_never_scaled_has_no_reaction():
    document = documents.observed()
    document["cluster"]["hpa"] = document["cluster"]["hpa"][:1]
    assert reaction(document) == [] == reaction(documents.run())


@pytest.mark.parametrize(
    ("due", "at"),
    [([5] * 30 + [20] * 90, 30.0), ([20] * 120, 0.0), ([5] * 60 + [6] * 10 + [40] * 50, 70.0)],
)
def test_the_load_rises_where_the_rate_of_arrivals_does(due, at):
    assert load_rise(documents.run(due))[0] == at


def test_a_closed_loop_rises_when_it_begins():
    document = documents.run()
    document["settings"]["concurrency"] = 40
    assert load_rise(document) == (0.0, "the users begin")


LEVEL = "p90 was level from the start of the load to its end"


@pytest.mark.parametrize(
    ("slow", "rise", "expected"),
    [
        ((30, 65), 30, (65, "p90 within 1.25 x the final")),
        ((30, 45), 30, (45, "p90 within 1.25 x the final")),
        ((112, 120), 30, (None, "p90 was high in the last 10 s")),
        ((30, 115), 30, (None, "p90 rose with the load, to 2.00 s, and did not come down")),
        ((30, 120), 30, (None, "p90 rose with the load, to 2.00 s, and did not come down")),
        (None, 30, (None, "the latency did not rise")),
        (None, 0, (None, LEVEL)),
        ((0, 120), 0, (None, LEVEL)),
    ],
)
def test_the_latency_has_recovered_only_where_it_rose_and_came_down(slow, rise, expected):
    document = documents.run()
    document["timeline"] = documents.timeline([20] * 120, slow=slow)
    assert recovered(document, rise) == expected


def test_a_run_of_a_few_seconds_does_not_tell_of_the_latency():
    document = documents.run()
    document["timeline"] = documents.timeline([20] * 4)
    assert recovered(document, 0) == (None, "too few seconds with an answer")


def test_the_noise_of_few_answers_is_no_rise():
    """In a real run of two users of the language model, whose answers take as long with more pods."""
    document = documents.run()
    noisy = [1.0, None, 0.1, 0.5, None, 1.9, 0.4, None, 0.1, 1.2] * 12
    document["timeline"] = {**documents.timeline([1] * 120), "response_p90": noisy}
    assert recovered(document, 60) == (None, "the latency did not rise")
