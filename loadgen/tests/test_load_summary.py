"""The statistics, on data with known results."""

import asyncio
import time

import pytest

from loadgen.observe import Observation, Run, watch_loop
from loadgen.summary import generator, percentile, summarise


def run_of(*observations, elapsed=10.0, cpu=0.0, lags=()):
    run = Run("classifier", "http://127.0.0.1/predict", {})
    for observation in observations:
        run.add(observation)
    run.elapsed_seconds, run.cpu_seconds, run.lags = elapsed, cpu, list(lags)
    return run


def warnings(run):
    return generator(run, summarise(run)["latency_seconds"])["warnings"]


def took(seconds, **fields):
    return Observation(start=1.0, end=1.0 + seconds, **{"status": 200} | fields)


@pytest.mark.parametrize(("percent", "rank"), [(50, 50), (90, 90), (95, 95), (99, 99), (99.5, 100)])
def test_percentiles_of_1_to_100_are_their_own_rank(percent, rank):
    assert percentile(range(1, 101), percent) == rank


@pytest.mark.parametrize(("percent", "value"), [(50, 20), (75, 30), (76, 40), (99, 40), (1, 10)])
def test_percentiles_of_four_values_are_observed_values(percent, value):
    assert percentile([10, 20, 30, 40], percent) == value


def test_latency_includes_successful_requests_only():
    good = [took(number / 1000) for number in range(100, 0, -1)]
    bad = took(30.0, outcome="timeout", status=None, detail="late")
    summary = summarise(run_of(*good, bad))
    assert summary["latency_seconds"] == {
        "p50": 0.05,
        "p90": 0.09,
        "p95": 0.095,
        "p99": 0.099,
        "max": 0.1,
        "mean": pytest.approx(0.0505),
    }
    assert (summary["requests"], summary["succeeded"], summary["failed"]) == (101, 100, 1)
    assert summary["rate_per_second"] == 10.0


def test_run_without_a_successful_request_has_no_latency_and_no_accuracy():
    summary = summarise(run_of(took(0.1, outcome="http", status=500, detail="Internal Server Error")))
    assert summary["latency_seconds"] is None and summary["accuracy"] is None
    assert summary["rate_per_second"] == 0.0


def test_errors_are_grouped_by_outcome_status_and_title_most_frequent_first():
    full = {"outcome": "http", "status": 503, "detail": "Service Unavailable"}
    broken = {"outcome": "http", "status": 500, "detail": "Internal Server Error"}
    summary = summarise(run_of(took(0.1, **broken), took(0.1, **full), took(0.1, **full), took(0.1)))
    assert summary["errors"] == [full | {"requests": 2}, broken | {"requests": 1}]


def test_answers_are_grouped_by_pod_and_version():
    answers = [("pod-a", "v1"), ("pod-a", "v2"), ("pod-b", "v2"), ("pod-b", "v2"), (None, "v2")]
    silent = took(0.1, outcome="connect", status=None)
    run = run_of(silent, *[took(0.1, served_by=pod, model_version=version) for pod, version in answers])
    counts = {(entry["pod"], entry["model_version"]): entry["requests"] for entry in summarise(run)["served_by"]}
    assert counts == {("pod-b", "v2"): 2, ("pod-a", "v1"): 1, ("pod-a", "v2"): 1, (None, "v2"): 1}


def test_pod_that_joins_later_has_the_time_of_its_first_answer():
    run = run_of(*[took(seconds, served_by=pod) for seconds, pod in [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")]])
    assert {entry["pod"]: entry["first_answer"] for entry in summarise(run)["served_by"]} == {"a": 2.0, "b": 4.0}


def test_accuracy_counts_judged_answers_only():
    run = run_of(*[took(0.1, correct=correct) for correct in (True, True, False, None)])
    assert summarise(run)["accuracy"] == {"correct": 2, "judged": 3, "share": pytest.approx(2 / 3)}


def test_tokens_are_summed_over_the_whole_run():
    run = run_of(took(1, completion_tokens=40), took(1, completion_tokens=10), elapsed=5.0)
    assert summarise(run)["completion_tokens"] == {"total": 50, "rate_per_second": 10.0}


def test_generator_that_used_its_whole_core_warns_that_it_was_the_bottleneck():
    (warning,) = warnings(run_of(took(1.0), cpu=9.5))
    assert warning.startswith("The generator was the bottleneck: it used 95% of the one core")


def test_generator_that_was_late_for_its_timers_warns_by_how_much():
    (warning,) = warnings(run_of(took(0.1), cpu=3.0, lags=[0.001] * 90 + [0.05] * 10))
    assert warning.startswith("The generator itself was late, by 50 ms at p99")


@pytest.mark.parametrize(("seconds", "lag"), [(0.001, 0.009), (1.0, 0.09)])
def test_lag_that_is_small_or_small_relative_to_the_latency_gives_no_warning(seconds, lag):
    refusals = [took(0.0001, outcome="connect", status=None)] * 5
    assert warnings(run_of(took(seconds), *refusals, cpu=3.0, lags=[lag])) == []


def test_run_without_latency_gives_no_lag_warning():
    assert warnings(run_of(took(0.1, outcome="http", status=500), lags=[0.5])) == []


def test_lag_of_a_blocked_event_loop_is_measured():
    async def blocked():
        lags: list[float] = []
        watcher = asyncio.create_task(watch_loop(lags))
        await asyncio.sleep(0)
        time.sleep(0.2)
        while not lags:
            await asyncio.sleep(0.01)
        watcher.cancel()
        return lags

    assert 0.15 < max(asyncio.run(blocked())) < 1.0
