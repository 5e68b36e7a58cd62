"""Where a request starts and ends: no part of a body is parsed as a request, and none is lost."""

import re
import socket
import time
from contextlib import ExitStack, suppress

import httpx
import pytest

from apps.serving.connections.request_head import MAX_HEADER_BYTES
from apps.serving.tests.processes import resident_bytes, running

pytestmark = pytest.mark.service
HEAD = b"POST /sleep HTTP/1.1\r\nHost: toy\r\nContent-Type: application/json\r\n"
UPGRADE = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"seconds": 0}'
SMUGGLED = b"GET /cancelled HTTP/1.1\r\nHost: toy\r\n\r\n"


def post(body: bytes = BODY, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes = BODY, head: bytes = HEAD) -> bytes:
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.fixture(scope="module")
def toy():
    with running("apps.serving.tests.toy", REQUEST_TIMEOUT_SECONDS=5) as process:
        yield process


@pytest.fixture
def connect(toy):
    """Return a function that opens connections; they are closed at the end of the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", toy.port), timeout=10))


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Read until `count` responses are complete or the connection ends; return their statuses."""
    received = b""
    while received.count(b"HTTP/1.1 2") + received.count(b"HTTP/1.1 4") < count or not received.endswith(b"}"):
        if not (part := connection.recv(65536)):
            break
        received += part
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]


def is_in_step(connection: socket.socket) -> bool:
    """Return whether the connection answers one more request with one response: no bytes were left over."""
    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: toy\r\nConnection: close\r\n\r\n")
    return statuses(connection, 99) == [200]


@pytest.mark.parametrize("encode", [post, chunked])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_upgrade_is_ignored_wherever_the_packets_are_split(connect, encode, protocol):
    head = UPGRADE.replace(b"h2c", protocol)
    request = encode(BODY, head)
    connection = connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for cut in range(len(head) - 20, len(request)):
        connection.sendall(request[:cut])
        time.sleep(0.002)  # so that the kernel sends two packets; the test must pass either way
        connection.sendall(request[cut:])
        assert statuses(connection, 1) == [200]
    assert is_in_step(connection)


def test_a_body_after_an_upgrade_is_not_parsed_as_a_request(connect):
    connection = connect()
    connection.sendall(UPGRADE + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED))
    time.sleep(0.05)
    connection.sendall(SMUGGLED)
    assert statuses(connection, 1) == [400], "the body is parsed as JSON, and is none"
    assert is_in_step(connection)


def test_a_hundred_requests_in_one_read_get_a_hundred_responses_in_order(toy, connect):
    connection = connect()
    bodies = [b'{"seconds": %s}' % (b"0" if number % 3 else b"-1") for number in range(100)]
    connection.sendall(b"".join(map(post, bodies)))
    assert statuses(connection, 100) == [200 if number % 3 else 422 for number in range(100)]
    assert is_in_step(connection)
    assert not [line for line in toy.log if line["level"] == "error"]


def test_a_second_request_whose_body_arrives_late_is_answered(connect):
    connection, second = connect(), post(b'{"seconds": 0, "x": 1}')
    connection.sendall(post() + second[:-5])
    assert statuses(connection, 1) == [200]
    connection.sendall(second[-5:])
    assert statuses(connection, 1) == [422]
    assert is_in_step(connection)


def test_requests_that_wait_behind_another_use_no_memory(toy, connect):
    connections = [connect() for _ in range(40)]
    before = resident_bytes(toy.popen.pid)
    for connection in connections:
        connection.sendall(post(b'{"seconds": 0.1}'))
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.send(SMUGGLED * 20_000)
    with httpx.Client() as client:
        assert client.get(f"{toy.url}/livez", timeout=5).status_code == 200
    assert resident_bytes(toy.popen.pid) - before < 60_000_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"", 400),
        (b"Host: toy\r\nHost: other\r\n", 400),
        (b"Host: toy\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"Host: toy\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
    ],
    ids=["no host", "two hosts", "gzip", "two lengths"],
)
def test_ambiguous_framing_is_refused(connect, headers, status):
    connection = connect()
    connection.sendall(b"POST /sleep HTTP/1.1\r\n" + headers + b"\r\n0\r\n\r\n")
    assert statuses(connection, 2) == [status]


def test_an_invalid_chunk_gets_a_400_and_its_request_is_not_computed(toy, connect):
    connection = connect()
    connection.sendall(CHUNKED + b'4\r\n{"se\r\n')
    time.sleep(0.05)
    connection.sendall(b"XYZ\r\n")
    assert statuses(connection, 2) == [400]


def test_a_refusal_is_sent_after_the_responses_to_earlier_requests(connect):
    connection = connect()
    connection.sendall(post(b'{"seconds": 0.2}') + post() + CHUNKED + b"XYZ\r\n")
    assert statuses(connection, 4) == [200, 200, 400]


@pytest.mark.parametrize(
    "endless",
    [b"1\r\n{\r\n0\r\n" + b"X: 1\r\n" * 10_000, b"0\r\nX: " + b"a" * 60_000, b"1;" + b"e" * 60_000],
    ids=["trailers", "trailer", "chunk extension"],
)
def test_trailers_and_chunk_extensions_are_bounded(connect, endless):
    connection = connect()
    connection.sendall(CHUNKED + endless)
    assert len(endless) > MAX_HEADER_BYTES
    assert statuses(connection, 2) == [431]


def test_trailers_are_dropped(connect):
    connection = connect()
    connection.sendall(CHUNKED + b"e\r\n" + BODY + b"\r\n0\r\nX-Request-ID: forged\r\n\r\n")
    assert statuses(connection, 1) == [200]
    assert is_in_step(connection)


def test_connect_is_refused(connect):
    connection = connect()
    connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert statuses(connection, 2) == [501]
