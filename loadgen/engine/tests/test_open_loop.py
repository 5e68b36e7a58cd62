"""The open loop: requests start at their intended times, whatever the service does."""

import asyncio
import time

import numpy as np
import pytest

from loadgen.engine.follow import Second
from loadgen.engine.plan import Phase
from loadgen.scenarios.schedule import Segment, arrivals
from loadgen.tests.stub import answer, silent

pytestmark = pytest.mark.slow  # each run starts processes


def every(seconds, rate):
    return arrivals([Segment(seconds, rate, rate)])


def test_nothing_is_sent_before_its_intended_time_and_all_are_sent(stub, plan, carry_out):
    due = every(0.3, 2000)  # so dense that several are due at a turn of the event loop
    document, _ = carry_out(plan(0.3, arrivals=due, concurrency=500, workers=2))
    rows = document["requests"]
    assert sorted(row["intended"] for row in rows) == pytest.approx(due.tolist(), abs=1e-6)
    assert min(row["sent"] - row["intended"] for row in rows) >= 0
    assert document["summary"]["rate_per_second"] == pytest.approx(2000)


def test_stalls_show_in_the_response_time_and_not_in_the_service_time(stub, plan, carry_out):
    began = time.monotonic()

    async def handler(request):
        if (within := (time.monotonic() - began) % 5) > 4:
            time.sleep(5 - within)  # the whole server stands still
        request.send(answer())

    stub.handler = handler
    document, _ = carry_out(plan(10, arrivals=every(10, 200), concurrency=2))
    response, service = (document["summary"][name] for name in ("response_seconds", "service_seconds"))
    assert 0.45 <= response["p90"] <= 0.55
    assert 0.90 <= response["p99"] <= 1.00
    assert service["p90"] < 0.02
    assert document["summary"]["delay_seconds"]["no_connection"]["p90"] == pytest.approx(response["p90"], abs=0.05)


def test_arrivals_beyond_max_in_flight_are_dropped_and_counted(stub, plan, carry_out):
    async def slow(request):
        await asyncio.sleep(0.4)
        request.send(answer())

    stub.handler = slow
    document, _ = carry_out(plan(0.2, arrivals=every(0.2, 100), concurrency=3, max_in_flight=5))
    summary = document["summary"]
    assert (summary["requests"], summary["dropped"], stub.requests) == (5, 15, 5)
    assert summary["response_seconds"]["p90"] >= 5  # what was dropped counts as at least the timeout
    assert sum(document["timeline"]["dropped"]) == 15
    waited = sorted(row["no_connection"] for row in document["requests"] if row["outcome"] == "ok")
    assert waited[:3] == [0, 0, 0] and waited[3] > 0.3
    (reason,) = [reason for reason in document["generator"]["reasons"] if reason.startswith("Only")]
    assert reason.startswith("Only 5 of 20 due requests were started, less than 99%. Allow more than 5 in flight")


def test_phases_count_apart_and_warm_up_not_in_the_summary(stub, plan, carry_out):
    phases = (Phase("warm", 0.2, warmup=True), Phase("main", 0.3), Phase("pause", 0.2))
    due = arrivals([Segment(0.2, 50, 50), Segment(0.3, 100, 100), Segment(0.2, 0, 0)])
    document, _ = carry_out(plan(arrivals=due, phases=phases, concurrency=50))
    assert [part["summary"]["requests"] for part in document["phases"]] == [10, 30, 0]
    assert [(part["start"], part["end"]) for part in document["phases"]] == [
        (0, 0.2),
        (0.2, 0.5),
        (pytest.approx(0.5), pytest.approx(0.7)),
    ]
    assert document["summary"]["requests"] == 30
    assert document["run"]["sending_seconds"] == pytest.approx(0.7)
    assert document["phases"][2]["summary"]["response_seconds"] is None


def test_answers_after_the_window_are_the_drain(stub, plan, carry_out):
    async def slow(request):
        await asyncio.sleep(0.3)
        request.send(answer())

    stub.handler = slow
    document, _ = carry_out(plan(0.2, arrivals=every(0.2, 50), concurrency=50))
    assert document["summary"]["succeeded"] == 10 == document["drain"]["succeeded"]
    assert document["summary"]["rate_per_second"] == 50  # of those due in the window, over its length
    assert 0.2 < document["drain"]["seconds"] < 1


def test_seconds_are_told_while_the_run_lasts(stub, plan, carry_out):
    told: list[Second] = []
    carry_out(plan(1.3, arrivals=every(1.3, 100), concurrency=50, workers=2), on_second=told.append)
    assert [second.second for second in told] == [0, 1]
    assert sum(second.succeeded for second in told) == 130
    assert sum(len(second.records) for second in told) == 130
    assert sum(second.due for second in told) == 130
    assert told[0].texts[told[0].records["pod"][0]] == "pod-a"
    assert told[0].response_seconds is not None and told[0].response_seconds["p50"] < 1


def test_ends_of_the_loop_are_not_awaited_longer_than_the_timeout(stub, plan, carry_out):
    stub.handler = silent
    document, _ = carry_out(plan(0.1, arrivals=np.array([0.0, 0.05]), timeout_seconds=0.3, concurrency=5))
    assert document["summary"]["errors"][0]["outcome"] == "timeout"
    assert 0.34 < document["run"]["elapsed_seconds"] < 1


def test_wait_for_a_connection_ends_at_the_timeout(stub, plan, carry_out):
    stub.handler = silent
    document, _ = carry_out(plan(0.1, arrivals=np.linspace(0, 0.1, 20), timeout_seconds=0.5, concurrency=1))
    errors = {(error["outcome"], error["detail"]): error["requests"] for error in document["summary"]["errors"]}
    assert errors["timeout", "no free connection in time"] + errors["timeout", "no answer in time"] == 20
    assert errors["timeout", "no answer in time"] == stub.requests <= 4
    assert document["run"]["elapsed_seconds"] < 4  # one after the other they would take 10 s
    assert any(reason.startswith("Only ") for reason in document["generator"]["reasons"])
