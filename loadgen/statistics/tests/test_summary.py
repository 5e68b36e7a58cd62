"""The figures of known records."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.engine.plan import Phase
from loadgen.statistics.summary import summarise
from loadgen.statistics.tests.synthetic import failure, recorded, row
from loadgen.targets.outcome import Outcome


@pytest.fixture
def summary(tmp_path):
    def summary(*rows, **changes):
        return summarise(recorded(tmp_path / "records", rows, **changes))["summary"]

    return summary


def test_failure_counts_as_at_least_its_timeout_and_successes_alone_stand_beside(summary):
    figures = summary(*[row(seconds=n / 1000) for n in range(1, 100)], failure(seconds=0.001))
    assert figures["response_seconds"]["p99"] == 0.099
    assert figures["response_seconds"]["max"] == 5.0 == figures["service_seconds"]["max"]
    assert figures["response_seconds_succeeded"]["max"] == 0.099
    assert (figures["requests"], figures["succeeded"], figures["failed"]) == (100, 99, 1)


def test_failure_that_took_longer_than_the_timeout_counts_as_what_it_took(summary):
    assert summary(failure(seconds=7.0))["response_seconds"]["p50"] == 7.0


def test_response_counts_from_the_intended_time_and_service_from_the_sending(summary):
    figures = summary(row(intended=1.0, seconds=0.5, late=0.3, no_connection=0.25))
    assert figures["response_seconds"]["p50"] == pytest.approx(0.5)
    assert figures["service_seconds"]["p50"] == pytest.approx(0.2)
    assert figures["delay_seconds"]["no_connection"]["p50"] == 0.25
    assert figures["delay_seconds"]["loop_late"]["p50"] == pytest.approx(0.05)


def test_dropped_counts_as_its_timeout_and_what_is_not_the_services_nowhere(summary):
    unsent = {"sent": np.nan, "status": 0}
    figures = summary(
        row(),
        failure(outcome=Outcome.DROPPED, **unsent),
        failure(outcome=Outcome.LOCAL, status=0),
        failure(outcome=Outcome.INTERRUPTED, status=0),
    )
    counted = ("requests", "failed", "dropped", "local", "interrupted")
    assert [figures[name] for name in counted] == [1, 0, 1, 1, 1]
    assert figures["response_seconds"]["max"] == 5.0
    assert figures["service_seconds"]["max"] == pytest.approx(0.1)
    assert figures["errors"] == []


def test_rate_is_of_requests_due_in_the_window_over_its_length(summary):
    late_answers = [row(intended=9.9, seconds=4.0)] * 20
    assert summary(*late_answers)["rate_per_second"] == 2.0
    assert summary(*late_answers, sending_seconds=5.0)["rate_per_second"] == 4.0


def test_errors_are_grouped_by_outcome_status_detail_phase_pod_and_version(summary):
    busy = {"detail": 1, "pod": 2, "version": 3}
    phases = (Phase("calm", 5.0), Phase("spike", 5.0))
    rows = [failure(1.0, **busy), failure(2.0, **busy), failure(6.0, **busy), failure(6.0, status=500, detail=1)]
    errors = summary(*rows, texts=["Busy", "pod-a", "v1"], phases=phases)["errors"]
    first = {"outcome": "http", "status": 503, "detail": "Busy", "pod": "pod-a", "model_version": "v1"}
    assert errors[0] == first | {"phase": "calm", "requests": 2}
    assert first | {"phase": "spike", "requests": 1} in errors
    assert {"status": 500, "phase": "spike", "pod": None}.items() <= errors[-1].items() or len(errors) == 3


def test_answers_are_counted_by_pod_and_version_with_the_first_of_each(summary):
    answers = [row(seconds=2, pod=1, version=2), row(seconds=1, pod=1, version=2), failure(3.0, 0.5, pod=1)]
    silent = failure(outcome=Outcome.CONNECT, status=0)
    served = summary(*answers, silent, texts=["pod-a", "v1"])["served_by"]
    assert served == [
        {"pod": "pod-a", "model_version": "v1", "requests": 2, "first_answer": 1.0},
        {"pod": "pod-a", "model_version": None, "requests": 1, "first_answer": 3.5},
    ]


def test_workers_with_texts_of_their_own_are_merged(tmp_path):
    run = recorded(tmp_path / "records", [row(pod=1)], [row(pod=1), row(pod=1), row(pod=2)])
    (run.folder / "texts-0").write_text('"pod-b"\n')
    (run.folder / "texts-1").write_text('"pod-a"\n"pod-b"\n')
    served = summarise(run)["summary"]["served_by"]
    assert {entry["pod"]: entry["requests"] for entry in served} == {"pod-b": 2, "pod-a": 2}


def test_accuracy_tokens_and_streams_are_of_successes(summary):
    figures = summary(
        row(correct=1, tokens=10, first_token=0.2),
        row(correct=0, tokens=30, first_token=0.4),
        failure(correct=1, tokens=99, first_token=9.0),
        gaps=[(0.0, 0.01), (0.0, 0.03)],
    )
    assert figures["accuracy"] == {"correct": 1, "judged": 2, "share": 0.5}
    assert figures["completion_tokens"] == {"total": 40, "rate_per_second": 4.0}
    assert figures["first_token_seconds"]["max"] == pytest.approx(0.4)
    assert figures["inter_token_seconds"]["max"] == pytest.approx(0.03)


def test_longest_silence_of_a_closed_loop_includes_the_ends_of_the_run(summary):
    assert summary(row(0.0, 1.0), row(1.0, 0.5))["longest_silence_seconds"] == 8.5
    assert summary(failure(0.0, 1.0))["longest_silence_seconds"] == 10.0
    assert summary(row(), arrivals=np.array([0.0]))["longest_silence_seconds"] is None


def test_an_answer_counts_in_the_second_in_which_it_arrived(tmp_path):
    rows = [row(0.5, 3.0, pod=1), row(0.6, 0.1, pod=2), row(0.7, 0.2, late=0.1), failure(1.0, 0.1, pod=1)]
    parts = summarise(recorded(tmp_path, rows, texts=["a", "b"]))
    timeline = parts["timeline"]
    assert timeline["succeeded"][:4] == [3, 0, 0, 0] and timeline["answered"][:4] == [2, 0, 0, 1]
    assert timeline["answered_service_mean"][:4] == [pytest.approx(0.1), None, None, 3.0]
    counts = {entry["pod"]: entry["answered"][:4] for entry in parts["answered_by"]}
    assert counts == {None: [1, 0, 0, 0], "a": [0, 0, 0, 1], "b": [1, 0, 0, 0]}


def test_an_answer_at_the_very_end_of_the_run_counts_in_its_last_second(tmp_path):
    parts = summarise(recorded(tmp_path, [row(0.5, 9.5, pod=1)], texts=["a"]))
    last = [0] * 9 + [1]
    assert parts["timeline"]["answered"] == parts["answered_by"][0]["answered"] == last
    assert parts["timeline"]["answered_service_mean"] == [None] * 9 + [9.5]


def test_run_without_a_request_has_no_figures(summary):
    figures = summary()
    assert figures["requests"] == 0 and figures["response_seconds"] is None and figures["served_by"] == []


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 9.99), st.floats(0.001, 3), st.sampled_from(list(Outcome)), st.booleans()), max_size=60
    )
)
def test_every_request_is_counted_once_everywhere(tmp_path_factory, drawn):
    workers: tuple[list, list] = ([], [])
    for start, seconds, outcome, second in drawn:
        workers[second].append(failure(start, seconds, outcome=outcome) if outcome else row(start, seconds))
    phases = (Phase("a", 4.0), Phase("b", 6.0))
    parts = summarise(recorded(tmp_path_factory.mktemp("run"), *workers, phases=phases))
    whole = parts["summary"]
    counted = ("succeeded", "failed", "dropped", "local", "interrupted")
    assert sum(whole[name] for name in counted) == len(drawn)
    for name in (*counted, "requests"):
        assert sum(part["summary"][name] for part in parts["phases"]) == whole[name]
    for name in ("succeeded", "failed", "dropped"):
        assert sum(parts["timeline"][name]) == whole[name]
    assert sum(parts["timeline"]["answered"]) == whole["succeeded"]
    assert sum(error["requests"] for error in whole["errors"]) == whole["failed"]
    assert all(len(column) == len(parts["timeline"]["second"]) for column in parts["timeline"].values())
    assert not parts["timeline"]["in_flight"] or parts["timeline"]["in_flight"][-1] == 0
