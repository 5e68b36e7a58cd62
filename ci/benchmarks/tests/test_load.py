"""The load of `ci/bench`, against a small server with prepared responses."""

import asyncio
import json
import math

import pytest

from ci.benchmarks.load import LoadResult, closed_loop, open_loop, probes, responds
from loadgen.statistics.percentiles import nearest_rank
from loadgen.tests.stub import Stub, answer, answering

pytestmark = pytest.mark.slow  # each run starts processes

TARGET = probes("/x", [{"n": 1}], ["7"], ("outputs", 0))
RIGHT = {"outputs": ["7"]}


@pytest.fixture
def stub():
    with Stub(handler=answering(RIGHT)) as service:
        yield service


def test_a_closed_loop_keeps_as_many_requests_in_flight_as_it_has_connections(stub):
    in_flight, peak = 0, 0

    async def handler(request):
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0.02)
        in_flight -= 1
        request.send(answer(RIGHT))

    stub.handler = handler
    result = closed_loop(TARGET, stub.port, 4, 0.2)
    assert peak == 4 == len(stub.connections)
    assert len(result.latencies) >= 4 and not result.failures
    assert result.rate == len(result.latencies) / result.seconds


def test_an_open_loop_sends_at_its_rate_without_waiting_for_responses(stub):
    expected, last = 60, asyncio.Event()  # arrivals at 100 a second within 0.6 s, with the generator's seed

    async def handler(request):
        if request.number == expected:
            last.set()
        await last.wait()  # no response before the last request has come
        request.send(answer(RIGHT))

    stub.handler = handler
    result = open_loop(TARGET, stub.port, 100, 0.6)
    assert len(result.latencies) == stub.requests == expected
    assert result.seconds == pytest.approx(0.6)
    assert not result.failures


def test_only_correct_responses_count_and_failures_are_counted_by_cause(stub):
    responses = {
        1: answer({"outputs": ["8"]}),
        2: answer({"outputs": []}),
        3: answer(RIGHT, 503),
        4: answer(RIGHT)[:-1],
    }

    async def handler(request):
        request.send(responses.get(request.number, answer(RIGHT)))
        if request.number == 4:
            request.writer.close()

    stub.handler = handler
    result = closed_loop(TARGET, stub.port, 1, 0.3)
    assert result.failures == {"wrong answer": 2, "Service Unavailable": 1, "closed within the answer": 1}
    assert len(result.latencies) == stub.requests - 4 > 0


def test_the_likeliest_class_is_the_label(stub):
    target = probes("/x", [{}], ["b"], ("p",), ["a", "b"])
    for probabilities, correct in (([0.1, 0.9], True), ([0.9, 0.1], False), ([], False), (None, False)):
        stub.handler = answering({"p": probabilities})
        assert responds(target, stub.port) == correct


def test_requests_are_sent_in_turn(stub):
    target = probes("/x", [{"n": n} for n in range(3)], ["7"] * 3, ("outputs", 0))
    closed_loop(target, stub.port, 1, 0.2)
    assert [json.loads(request.body)["n"] for request in stub.received[:6]] == [0, 1, 2, 0, 1, 2]


def test_percentiles_are_by_nearest_rank():
    result = LoadResult(1.0, [0.3, 0.1, 0.2])
    assert [result.percentile(percent) for percent in (1, 50, 99)] == [0.1, 0.2, 0.3]
    assert nearest_rank([], 50) == LoadResult().percentile(50) == math.inf


def test_a_port_without_a_server_does_not_respond():
    assert not responds(TARGET, 1)
