"""Clients that are slow, silent, large, broken or closed do not affect other clients of a running service."""

import http.client
import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing

import httpx
import pytest

from apps.serving.tests.processes import Process, running, until

pytestmark = pytest.mark.service
REQUEST = b"POST /sleep HTTP/1.1\r\nHost: toy\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
HEADER_SECONDS = 1


@pytest.fixture(scope="module")
def toy():
    with running("apps.serving.tests.toy", HEADER_SECONDS=HEADER_SECONDS, REQUEST_TIMEOUT_SECONDS=2) as process:
        yield process


@pytest.fixture
def connect(toy):
    """Return a function that opens connections; they are closed at the end of the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", toy.port), timeout=10))


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def problem(answer: bytes) -> dict:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    return json.loads(body)


def median_milliseconds(toy: Process) -> float:
    times = []
    with httpx.Client() as client:
        for _ in range(30):
            begun = time.perf_counter()
            assert client.get(f"{toy.url}/healthz").status_code == 200
            times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2] * 1000


def test_a_hundred_connections_without_a_complete_head_delay_no_request_and_are_closed(toy, connect):
    quiet = median_milliseconds(toy)
    connections = [connect() for _ in range(100)]
    for connection in connections[::2]:
        connection.sendall(b"POST /sleep HT")
    assert median_milliseconds(toy) < max(50, 10 * quiet)  # 50 ms; more if the machine is slow without them too
    begun = time.monotonic()
    answers = [read_all(connection) for connection in connections]
    assert time.monotonic() - begun < HEADER_SECONDS + 3
    assert {problem(answer)["status"] for answer in answers[::2]} == {408}
    assert set(answers[1::2]) == {b""}


def test_headers_sent_a_byte_at_a_time_get_408(toy, connect):
    connection = connect()
    connection.settimeout(0.05)
    begun, answer, sent = time.monotonic(), b"", iter(b"GET /" + b"a" * 200)
    while not answer and time.monotonic() - begun < 10:
        try:
            connection.sendall(bytes([next(sent)]))
            answer = connection.recv(1)
        except TimeoutError:
            continue
    assert HEADER_SECONDS * 0.9 < time.monotonic() - begun < HEADER_SECONDS + 3
    connection.settimeout(5)
    assert problem(answer + read_all(connection))["status"] == 408


def test_a_body_sent_too_slowly_gets_408_and_takes_no_place(toy, connect):
    connection = connect()
    connection.sendall(REQUEST % 1000 + b"{")
    assert httpx.post(f"{toy.url}/sleep", json={"seconds": 0}).status_code == 200
    answer = read_all(connection)
    assert problem(answer)["status"] == 408
    assert "2 seconds" in problem(answer)["detail"]


@pytest.mark.parametrize(
    "sent", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
def test_bytes_that_are_not_http_get_a_400_problem_and_the_connection_ends(toy, connect, sent):
    connection = connect()
    connection.sendall(sent)
    assert problem(read_all(connection))["status"] == 400


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000,
    ],
    ids=["path", "header", "many headers", "endless header"],
)
def test_a_long_path_or_long_headers_get_431(toy, connect, sent):
    connection = connect()
    connection.sendall(sent)
    assert problem(read_all(connection))["status"] == 431


def test_a_client_whose_upload_is_refused_early_can_read_the_response(toy):
    """If the connection were closed at once, a reset would reach the client before the response."""
    with closing(http.client.HTTPConnection("127.0.0.1", toy.port, timeout=10)) as connection:
        connection.request("POST", "/sleep", b"x" * 30_000_000, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["status"]) == (413, 413)


def test_an_upload_without_end_is_cut_off(toy, connect):
    connection = connect()
    connection.sendall(REQUEST.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked"))
    begun = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - begun < 20:
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    assert time.monotonic() - begun < 10


def test_a_client_that_is_killed_while_its_request_computes_frees_its_place(toy):
    request = f"'{toy.url}/sleep', b'{{\"seconds\": 60}}', {{'Content-Type': 'application/json'}}"
    code = f"import urllib.request as u; u.urlopen(u.Request({request}))"
    before = counts(toy)["cancelled"]
    client = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: counts(toy)["in_flight"] == 1)
    finally:
        client.kill()
        client.wait()
    until(lambda: counts(toy)["in_flight"] == 0, 1)
    assert counts(toy)["cancelled"] == before + 1


def test_two_requests_sent_at_once_are_answered_in_order(toy, connect):
    connection = connect()
    first, second = b'{"seconds": 0.2}', b'{"seconds": 0.1, "x": 1}'
    connection.sendall(REQUEST % len(first) + first + REQUEST % len(second) + second)
    answer = b""
    while answer.count(b"HTTP/1.1") < 2 or not answer.endswith(b"}"):
        answer += connection.recv(65536)
    assert answer.index(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 422")


def counts(toy: Process) -> dict:
    return httpx.get(f"{toy.url}/cancelled").json()
