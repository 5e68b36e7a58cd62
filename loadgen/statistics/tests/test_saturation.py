"""The generator's own limits: each rule at both sides of its bound."""

import numpy as np
import pytest

from loadgen.statistics.document import document
from loadgen.statistics.saturation import one_pod_warning
from loadgen.statistics.tests.synthetic import failure, recorded, row
from loadgen.targets.outcome import Outcome


@pytest.fixture
def reasons(tmp_path):
    def reasons(*rows, **changes):
        figures = document(recorded(tmp_path / "records", rows, **changes), {})["generator"]
        assert figures["saturated"] == bool(figures["reasons"])
        return figures["reasons"]

    return reasons


def ticks(*cpu, length=1.0):
    return [(0, second, 0, used, length) for second, used in enumerate(cpu)]


def test_worker_that_used_its_core_in_any_second_was_the_bottleneck(reasons):
    assert reasons(row(), ticks=ticks(0.1, 0.89, 0.1)) == []
    (reason,) = reasons(row(), ticks=ticks(0.1, 0.95, 0.1))
    assert reason.startswith(
        "1 of 1 processes of the generator used at least 90% of a core, the busiest 95% in second 1"
    )


def test_tail_of_a_second_says_nothing(reasons):
    assert reasons(row(), ticks=ticks(0.1, length=0.1)) == []


@pytest.mark.parametrize(
    ("seconds", "late", "saturated"), [(0.01, 0.0019, 0), (0.01, 0.0021, 1), (1.0, 0.09, 0), (1.2, 0.15, 1)]
)
def test_late_requests_saturate_beyond_2_ms_and_a_tenth_of_the_service_time(reasons, seconds, late, saturated):
    messages = reasons(*[row(seconds=seconds, late=late)] * 10)
    assert len(messages) == saturated
    assert all("the generator's event loop was late" in reason for reason in messages)


def test_one_late_request_in_a_hundred_is_no_saturation_and_two_are(reasons):
    on_time, late = row(), row(late=0.09)
    assert reasons(*[on_time] * 99, late) == []
    assert len(reasons(*[on_time] * 98, late, late)) == 1


@pytest.mark.parametrize(
    ("requests", "late", "saturated"), [(1, 1, 0), (10, 1, 0), (10, 2, 1), (199, 1, 0), (199, 2, 1)]
)
def test_one_late_request_of_few_is_no_saturation(reasons, requests, late, saturated):
    messages = reasons(*[row()] * (requests - late), *[row(late=0.09)] * late)
    assert [message.split(":")[0] for message in messages] == [
        f"{late} of {requests} requests were sent more than 10.0 ms late"
    ] * saturated


def test_wait_for_a_connection_is_told_apart_from_a_late_loop(reasons):
    (reason,) = reasons(*[row(late=0.05, no_connection=0.05)] * 10)
    assert reason.endswith("they waited for a free connection. Allow more than 10 at once.")


def test_less_than_99_percent_started_saturates(reasons):
    dropped = failure(outcome=Outcome.DROPPED, sent=np.nan, status=0)
    due = {"arrivals": np.linspace(0, 9, 100)}
    assert reasons(*[row()] * 99, dropped, **due) == []
    (reason,) = reasons(*[row()] * 98, dropped, dropped, **due)
    assert reason.startswith("Only 98 of 100 due requests were started, less than 99%.")


def test_records_that_a_dead_worker_did_not_write_are_missed(reasons):
    messages = reasons(*[row()] * 50, arrivals=np.linspace(0, 9, 100), problems=["process 1 ended unexpectedly"])
    assert len(messages) == 2 and messages[1] == "The generator failed: process 1 ended unexpectedly."


def test_limit_of_this_machine_saturates(reasons):
    (reason,) = reasons(row(), failure(outcome=Outcome.LOCAL, status=0, detail=1), texts=["Too many open files"])
    assert reason == "1 requests failed on this machine: Too many open files."


def served(*pods):
    return {"served_by": [{"pod": pod, "model_version": "v1", "requests": 5, "first_answer": 0.0} for pod in pods]}


def test_one_pod_that_answers_everything_though_several_are_ready_is_noticed():
    assert str(one_pod_warning(served("pod-a"), 3)).startswith(
        "All answers came from one pod (pod-a), though 3 are ready. A port-forward always leads to the same pod"
    )


@pytest.mark.parametrize(("pods", "ready"), [(["a"], 1), (["a"], None), (["a", "b"], 2), ([], 3)])
def test_balanced_or_unknown_pods_give_no_warning(pods, ready):
    assert one_pod_warning(served(*pods), ready) is None
