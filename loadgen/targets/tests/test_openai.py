"""Streams: time to first token, inter-token latency, tokens; an error after a 200 is a failure."""

import asyncio
import json

import pytest

from loadgen.client.ask import ask
from loadgen.targets.openai import chats, completions
from loadgen.targets.outcome import Outcome
from loadgen.tests.stub import Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PAUSE = 0.05


def event(content):
    return b"data: " + (content if isinstance(content, bytes) else json.dumps(content).encode()) + b"\n\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def text(piece, **fields):
    return event({"choices": [{"text": piece}], "model": "m", "usage": None} | fields)


def delta(**fields):
    return event({"choices": [{"delta": fields}], "model": "m"})


USAGE = event({"choices": [], "model": "m", "usage": {"completion_tokens": 7}})
DONE = event(b"[DONE]")


END = chunk(b"")


def streaming(*parts, pause=0.0, end=END):
    async def handler(request: Request):
        request.send(HEAD)
        for part in parts:
            await asyncio.sleep(pause)
            request.send(chunk(part))
            await request.writer.drain()
        request.send(end)

    return handler


def one(stub, target=None, **settings):
    (exchange,) = asyncio.run(ask(target or completions("m", 7, ["Hello"]), stub.url, **settings))
    return exchange


@pytest.mark.slow
def test_tokens_are_timed_as_they_arrive_and_counted_from_usage(stub):
    stub.handler = streaming(text("a"), text("b"), text("c"), USAGE, DONE, pause=PAUSE)
    exchange = one(stub)
    reading = exchange.reading
    assert (exchange.outcome, exchange.version, reading.completion_tokens, reading.answer) == (0, "m", 7, "abc")
    assert reading.first_token >= PAUSE * 0.9 and len(reading.gaps) == 2
    assert reading.first_token + sum(reading.gaps) <= exchange.end - exchange.sent
    assert min(reading.gaps) > 0 and sum(reading.gaps) > PAUSE  # a busy machine delays and merges pieces


def test_first_token_is_the_first_chunk_with_content(stub):
    stub.handler = streaming(delta(role="assistant"), delta(content=""), delta(content="Hi"), USAGE, DONE, pause=PAUSE)
    exchange = one(stub, chats("m", 7, ["Hello"]))
    assert exchange.reading.first_token >= 3 * PAUSE * 0.9
    assert exchange.first_byte - exchange.sent < exchange.reading.first_token
    body = stub.bodies[0]
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True} and body["max_tokens"] == 7


def test_events_cut_at_any_byte_are_read(stub):
    whole = b": comment\n\nevent: x\n" + text("ä") + text("b").replace(b"\n", b"\r\n") + USAGE + DONE
    stub.handler = streaming(*(whole[n : n + 1] for n in range(len(whole))))
    assert one(stub).reading.answer == "äb"


@pytest.mark.parametrize(
    ("parts", "outcome", "detail"),
    [
        ([text("a"), event({"error": {"message": "out of memory"}})], Outcome.STREAM, "out of memory"),
        ([event({"error": "x" * 900})], Outcome.STREAM, "x" * 200),
        ([text("a"), USAGE], Outcome.INVALID, "the stream ended without [DONE]"),
        ([DONE], Outcome.INVALID, "no chunk of the stream has content"),
        ([event(b"{nope")], Outcome.INVALID, "an event of the stream is not JSON"),
        ([event(b"[" * 100_000)], Outcome.INVALID, "an event of the stream is not JSON"),
        ([event([1])], Outcome.INVALID, "an event of the stream is not an object"),
        ([event({"choices": 3})], Outcome.INVALID, "`choices` has the wrong type"),
        ([event({"choices": [3]})], Outcome.INVALID, "a choice of the stream is not an object"),
        ([event({"choices": [], "usage": {}})], Outcome.INVALID, "`completion_tokens` is missing"),
        ([b"data: " + b"x" * 1_000_000, b"x" * 50_000, b"x"], Outcome.INVALID, "a line of over 1024 KiB in the stream"),
    ],
)
def test_broken_stream_is_a_failure_with_its_reason(stub, parts, outcome, detail):
    stub.handler = streaming(*parts)
    exchange = one(stub)
    assert (exchange.outcome, exchange.status, exchange.detail) == (outcome, 200, detail)


def test_hang_up_within_a_stream_is_a_reset(stub):
    async def handler(request):
        request.send(HEAD + chunk(text("a")))
        request.writer.close()

    stub.handler = handler
    exchange = one(stub)
    assert (exchange.outcome, exchange.detail) == (Outcome.RESET, "closed within the answer")


def test_stream_that_stalls_times_out(stub):
    stub.handler = streaming(text("a"), end=b"")
    exchange = one(stub, timeout_seconds=0.3)
    assert (exchange.outcome, exchange.detail) == (Outcome.TIMEOUT, "no complete answer in time")


@pytest.mark.slow
def test_figures_of_a_run_are_those_of_its_streams(stub, plan, carry_out):
    stub.handler = streaming(text("a"), text("b"), text("c"), USAGE, DONE, pause=0.02)
    document, _ = carry_out(plan(0.4, target=completions("m", 7), workers=2, concurrency=2))
    summary = document["summary"]
    assert summary["failed"] == 0 and summary["completion_tokens"]["total"] == 7 * summary["succeeded"]
    assert 0.015 < summary["first_token_seconds"]["p50"] < 0.2
    assert 0 < summary["inter_token_seconds"]["p50"] < 0.2
    assert all(row["first_token"] for row in document["requests"])
