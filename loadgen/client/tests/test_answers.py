"""How each answer is classified, whatever bytes the server sends."""

import asyncio
import math
import time
from email.utils import formatdate

import pytest

from loadgen.client.ask import ask
from loadgen.client.connection import MAX_BODY_BYTES
from loadgen.targets.classifier import Classifier
from loadgen.targets.outcome import Outcome
from loadgen.targets.target import Sample
from loadgen.targets.template import template
from loadgen.tests.stub import PREDICTION, answer, answering, sending, silent

CLASSIFIER = Classifier(samples=(Sample(b'{"features":[0]}', 7, "4"),))


def outcome(stub, target=CLASSIFIER, **settings):
    (exchange,) = asyncio.run(ask(target, stub.url, **settings))
    assert exchange.end >= exchange.sent >= 0
    return exchange.outcome, exchange.status, exchange.detail


def test_answer_is_read_with_its_pod_and_version(stub):
    (exchange,) = asyncio.run(ask(CLASSIFIER, stub.url))
    assert (exchange.outcome, exchange.pod, exchange.version) == (Outcome.OK, b"pod-a", "v1")
    assert exchange.reading.correct is True
    assert exchange.sent < exchange.first_byte <= exchange.end


def test_chunked_answer_is_read_to_its_end(stub):
    body = answer().partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    stub.handler = sending(head + b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:]))
    assert outcome(stub) == (Outcome.OK, 200, None)


def test_answer_without_a_length_ends_with_the_connection(stub):
    stub.handler = sending(b"HTTP/1.1 200 OK\r\n\r\n" + answer().partition(b"\r\n\r\n")[2], close=True)
    assert outcome(stub) == (Outcome.OK, 200, None)


def test_interim_answer_is_skipped(stub):
    stub.handler = sending(b"HTTP/1.1 100 Continue\r\n\r\n" + answer())
    assert outcome(stub) == (Outcome.OK, 200, None)


def test_head_of_an_error_has_no_body(stub):
    stub.handler = sending(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\nRetry-After: 2\r\n\r\n")
    (exchange,) = asyncio.run(ask(template("", method="HEAD"), stub.url, timeout_seconds=5))
    assert (exchange.outcome, exchange.status, exchange.retry_seconds) == (Outcome.HTTP, 503, 2)


@pytest.mark.parametrize("status", [204, 304])
def test_answer_of_a_status_without_a_body_ends_with_its_head(stub, status):
    stub.handler = sending(b"HTTP/1.1 %d X\r\nX-Served-By: a\r\n\r\n" % status)
    assert outcome(stub, template("{}"))[:2] == (Outcome.OK if status == 204 else Outcome.HTTP, status)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"title": "Too busy", "model_version": "v2"}, "Too busy"),
        ({"error": {"message": "no such model"}}, "no such model"),
        ({"error": "overloaded"}, "overloaded"),
        ({"title": "x" * 1000}, "x" * 200),
        (b"<html>", "Service Unavailable"),
        (b'{"title": "\\ud800"}', "?"),
        (b"[" * 100_000, "Service Unavailable"),
    ],
)
def test_detail_of_an_error_is_what_the_server_says(stub, body, detail):
    stub.handler = answering(body, 503)
    assert outcome(stub) == (Outcome.HTTP, 503, detail)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("x", math.nan), ("9" * 400, 2.0**31), ("-1", math.nan), ("1e999", math.nan)]
)
def test_retry_after_is_read_in_seconds(stub, text, seconds):
    stub.handler = answering(b"", 429, {"Retry-After": text})
    (exchange,) = asyncio.run(ask(CLASSIFIER, stub.url))
    assert exchange.retry_seconds == pytest.approx(seconds, nan_ok=True)


def test_retry_after_is_read_as_a_date(stub):
    stub.handler = answering(b"", 503, {"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    (exchange,) = asyncio.run(ask(CLASSIFIER, stub.url))
    assert 90 < exchange.retry_seconds <= 100


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not valid HTTP"),
        (b"\x00\xff" * 100, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400_000, "headers of over 256 KiB"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\xff\xfe\x00\x00\x00\x00\x00\x00\x00\x00",
            "the body is not JSON",
        ),
    ],
)
def test_bytes_that_are_no_answer_are_invalid(stub, content, detail):
    stub.handler = sending(content)
    result, _, text = outcome(stub, timeout_seconds=10)
    assert result == Outcome.INVALID and text.startswith(detail)


def test_body_is_read_up_to_16_mib_and_not_beyond(stub):
    stub.handler = answering(b" " * (MAX_BODY_BYTES - 2) + b"[]")
    assert outcome(stub) == (Outcome.INVALID, 200, "`model_version` is missing")
    stub.handler = answering(b" " * (MAX_BODY_BYTES + 1))
    assert outcome(stub) == (Outcome.INVALID, 200, "a body of over 16 MiB")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "endless", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000, "a body of over 16 MiB"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"x" * 1_000_000, "over 32 MiB for one answer"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: y\r\n" * 100_000,
            "over 32 MiB for one answer",
        ),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "headers of over 256 KiB"),
    ],
    ids=["body", "chunk extension", "trailers", "informational answers"],
)
def test_endless_answer_is_cut_off(stub, head, endless, detail):
    async def handler(request):
        request.send(head)
        while not request.writer.is_closing():
            request.send(endless)
            await request.writer.drain()

    stub.handler = handler
    status = 200 if head else 0
    assert outcome(stub) == (Outcome.INVALID, status, detail)


def test_switch_of_protocols_is_an_error(stub):
    stub.handler = sending(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc")
    assert outcome(stub) == (Outcome.HTTP, 101, "Switching Protocols")


def test_hung_request_times_out_with_how_far_it_came(stub):
    stub.handler = silent
    assert outcome(stub, timeout_seconds=0.1) == (Outcome.TIMEOUT, 0, "no answer in time")
    stub.handler = sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    assert outcome(stub, timeout_seconds=0.1) == (Outcome.TIMEOUT, 200, "no complete answer in time")


def test_reset_is_told_apart_from_a_hang_up(stub):
    async def reset(request):
        request.reset()

    stub.handler = reset
    assert outcome(stub) == (Outcome.RESET, 0, "Connection reset by peer")
    stub.handler = sending(b"", close=True)
    assert outcome(stub) == (Outcome.RESET, 0, "closed before an answer")
    stub.handler = sending(answer()[:-1], close=True)
    assert outcome(stub) == (Outcome.RESET, 200, "closed within the answer")


def test_refused_connection_and_unknown_host_are_told_in_words(refused_url):
    (exchange,) = asyncio.run(ask(CLASSIFIER, refused_url))
    assert (exchange.outcome, exchange.detail) == (Outcome.CONNECT, "Connection refused")
    (exchange,) = asyncio.run(ask(CLASSIFIER, "http://host.invalid/"))
    assert exchange.outcome == Outcome.CONNECT and str(exchange.detail).startswith("host name not resolved: ")


def test_request_has_the_path_the_headers_and_the_user_info_as_authorization(stub):
    url = stub.url.replace("http://", "http://user:p%40ss@").removesuffix("/predict")
    asyncio.run(ask(CLASSIFIER, url, headers=[("accept", "text/plain"), ("X-Other", "1")]))
    (request,) = stub.received
    assert request.head.startswith("POST /predict HTTP/1.1\r\n")
    assert "Authorization: Basic dXNlcjpwQHNz\r\n" in request.head
    assert "accept: text/plain\r\n" in request.head and "application/json, " not in request.head
    assert "X-Other: 1\r\n" in request.head
    assert request.json() == {"features": [0]}


def test_error_in_the_reading_of_one_body_is_an_invalid_answer(stub):
    stub.handler = answering(PREDICTION | {"top": [None]})
    assert outcome(stub) == (Outcome.INVALID, 200, "`label` is missing")
