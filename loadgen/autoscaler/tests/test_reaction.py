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


def test_latency_that_is_low_in_the_last_seconds_only_has_not_recovered():
    document = documents.run()
    document["timeline"] = documents.timeline([20] * 120, slow=(30, 65))
    assert recovered(document, 50) == 65
    document["timeline"] = documents.timeline([20] * 120, slow=(30, 115))
    assert recovered(document, 50) is None
    document["timeline"] = documents.timeline([20] * 120)
    assert recovered(document, 50) == 50
