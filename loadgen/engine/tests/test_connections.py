"""Connections: kept, fresh, renewed; and stale ones. kube-proxy balances connections, not requests."""

import asyncio

import pytest

from loadgen.tests.stub import answer

pytestmark = pytest.mark.slow  # each run starts processes

SECONDS = 0.4


def only(document):
    (error,) = document["summary"]["errors"]
    return error["outcome"], error["detail"], error["requests"]


async def slow(request):
    await asyncio.sleep(0.02)
    request.send(answer())


def test_kept_connections_are_one_for_each_user(stub, plan, carry_out):
    stub.handler = slow
    document, _ = carry_out(plan(SECONDS, concurrency=4))
    assert len(stub.connections) == 4
    assert document["summary"]["requests"] == stub.requests > 8


def test_fresh_connections_carry_one_request_each(stub, plan, carry_out):
    document, _ = carry_out(plan(SECONDS, connections="fresh"))
    assert len(stub.connections) == stub.requests == document["summary"]["succeeded"] > 1
    assert "Connection: close\r\n" in stub.received[0].head
    assert all(request["connecting"] > 0 for request in document["requests"])


def test_renewed_connections_are_used_until_their_age_limit_and_not_beyond(stub, plan, carry_out):
    stub.handler = slow
    document, _ = carry_out(plan(1.0, connections=0.2, concurrency=4))
    assert document["summary"]["failed"] == 0
    assert len(stub.connections) > 4 * 3
    assert max(last - first for first, last in stub.connections.values()) < 0.4


def test_first_renewals_are_spread_over_a_lifetime(stub, plan, carry_out):
    stub.handler = slow
    carry_out(plan(1.0, connections=0.8, concurrency=8))
    first, *_, last = sorted(begin for begin, _ in list(stub.connections.values())[8:])
    assert last - first > 0.3


def test_kept_connection_closed_before_an_answer_is_stale_and_its_request_sent_once_more(stub, plan, carry_out):
    async def handler(request):
        if request.on_connection == 3:  # read, and not answered
            request.writer.close()
        else:
            request.send(answer())

    stub.handler = handler
    document, _ = carry_out(plan(SECONDS))
    summary = document["summary"]
    assert summary["failed"] == 0 and summary["stale"] > 0
    assert summary["requests"] + summary["stale"] == stub.requests
    assert sum(request["stale"] for request in document["requests"]) == summary["stale"]


def test_request_that_finds_two_closed_connections_has_failed(stub, plan, carry_out):
    async def handler(request):
        if request.number < 3:
            request.send(answer())
        else:
            request.writer.close()

    stub.handler = handler
    document, _ = carry_out(plan(SECONDS))
    assert document["summary"]["stale"] == 1
    assert only(document) == ("reset", "closed before an answer", document["summary"]["failed"])


def test_connection_close_is_obeyed_without_a_stale_request(stub, plan, carry_out):
    async def handler(request):
        request.send(answer(headers={"Connection": "close"}))
        request.writer.close()

    stub.handler = handler
    document, _ = carry_out(plan(SECONDS))
    assert len(stub.connections) == stub.requests == document["summary"]["succeeded"]
    assert document["summary"]["stale"] == 0


def test_second_answer_to_one_request_never_answers_the_next(stub, plan, carry_out):
    async def handler(request):
        request.send(answer() + answer(status=500))

    stub.handler = handler
    document, _ = carry_out(plan(SECONDS))
    assert document["summary"]["failed"] == 0
    assert len(stub.connections) == stub.requests == document["summary"]["requests"]


def test_refused_connections_slow_a_user_down(plan, carry_out, refused_url):
    document, _ = carry_out(plan(0.5, url=refused_url))
    assert only(document)[:2] == ("connect", "Connection refused")
    assert document["summary"]["requests"] <= 6  # at once, and every 0.1 s


def test_reset_of_a_run_is_told_in_the_same_words(stub, plan, carry_out):
    """A run uses uvloop, whose errors differ from asyncio's."""

    async def handler(request):
        request.reset()

    stub.handler = handler
    document, _ = carry_out(plan(0.1, connections="fresh"))
    assert only(document) == ("reset", "Connection reset by peer", stub.requests)
