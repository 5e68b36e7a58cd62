"""How long a connection lasts, and how much memory its client can use."""

import re
import select
import socket
import time
from contextlib import ExitStack, suppress

import httpx
import pytest

from apps.serving.connections.protocol import JITTER
from apps.serving.settings import ServingSettings
from apps.serving.tests.processes import resident_bytes, running, until
from apps.serving.tests.toy import LARGE

pytestmark = pytest.mark.service
GET = b"GET %s HTTP/1.1\r\nHost: toy\r\n\r\n"
UPLOAD = b"POST /sleep HTTP/1.1\r\nHost: toy\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
LIMIT, UPLOADS = 16_000_000, 120


@pytest.fixture(scope="module")
def toy():
    with running(
        "apps.serving.tests.toy", MAX_TOTAL_BODY_BYTES=LIMIT, STALL_SECONDS=3, CONNECTION_MAX_AGE_SECONDS=0
    ) as process:
        yield process


@pytest.fixture
def connect(toy):
    """Return a function that opens connections; they are closed at the end of the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(connected(toy))


def connected(toy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", toy.port), timeout=10)


def metric(toy, name: str) -> float:
    (value,) = re.findall(rf"^{name} (\S+)$", httpx.get(f"{toy.url}/metrics").text, re.MULTILINE)
    return float(value)


def request_livez(connection: socket.socket) -> bytes:
    """Request /livez and return the response."""
    connection.sendall(GET % b"/livez")
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(65536)
        assert part, "the connection was cut"
        answer += part
    return answer


def test_uploads_without_end_share_a_budget_and_do_not_displace_a_small_request(toy, connect):
    before, dropped = resident_bytes(toy.popen.pid), metric(toy, "inference_bodies_dropped_total")
    connections = [connect() for _ in range(UPLOADS)]
    for connection in connections:
        connection.sendall(UPLOAD + b"x" * 900_000)
    until(lambda: metric(toy, "inference_bodies_dropped_total") - dropped >= UPLOADS - LIMIT // 900_000)
    assert metric(toy, "inference_body_bytes") <= LIMIT == metric(toy, "inference_body_bytes_limit")
    assert httpx.post(f"{toy.url}/sleep", json={"seconds": 0}).status_code == 200
    assert resident_bytes(toy.popen.pid) - before < UPLOADS * 900_000 * 2 / 3
    refused: list[tuple[socket.socket, bytes]] = []
    for connection in connections:
        connection.setblocking(False)

    def read_refusals() -> bool:
        """Read the responses, which are sent in turn, soon after the count."""
        for connection in set(connections) - {read for read, _ in refused}:
            with suppress(BlockingIOError):
                refused.append((connection, connection.recv(65536)))
        return len(refused) >= UPLOADS - LIMIT // 900_000

    until(read_refusals)
    for _, answer in refused:
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer.lower()
        assert b"Bodies under way may hold 16000000 bytes together (MAX_TOTAL_BODY_BYTES)" in answer


def test_a_response_that_is_not_read_is_dropped(toy, connect):
    connection, size = connect(), 0
    connection.sendall(GET % b"/large")
    until(lambda: metric(toy, "inference_body_bytes") > 0)
    until(lambda: metric(toy, "inference_body_bytes") == 0)
    with suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            size += len(part)
    assert size < LARGE


def test_a_slow_reader_gets_its_complete_response(toy, connect):
    connection, size = connect(), 0
    connection.sendall(GET % b"/large")
    while size < LARGE:
        part = connection.recv(300_000)
        assert part, f"cut after {size} bytes"
        size += len(part)
        time.sleep(0.1)  # altogether longer than STALL_SECONDS
    assert size < LARGE + 1000


def test_http_1_0_gets_no_chunks(toy, connect):
    connection = connect()
    connection.sendall(b"POST /stream HTTP/1.0\r\n\r\n")
    answer = b""
    while part := connection.recv(65536):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"one two"
    assert b"transfer-encoding" not in head


def test_an_idle_connection_is_closed_after_keep_alive_seconds_and_one_in_use_stays_open():
    with running("apps.serving.tests.toy", KEEP_ALIVE_SECONDS=2) as toy, connected(toy) as idle, connected(toy) as used:
        begun = time.monotonic()
        request_livez(idle)
        while not is_closed(idle):
            request_livez(used)
            assert time.monotonic() - begun < 10
        assert time.monotonic() - begun >= 2
        request_livez(used)


def is_closed(connection: socket.socket) -> bool:
    """Wait a moment for the end of a connection on which nothing is expected."""
    readable, _, _ = select.select([connection], [], [], 0.1)
    return bool(readable) and connection.recv(1) == b""


def test_an_idle_connection_outlives_a_gateways_pool_by_default():
    assert ServingSettings().keep_alive_seconds == 75


def test_a_connection_ends_with_its_first_response_beyond_its_maximum_age_and_is_never_cut():
    age = 0.5
    with running("apps.serving.tests.toy", CONNECTION_MAX_AGE_SECONDS=age) as toy:
        begun, requested, answered, answer = time.monotonic(), [], [], b""
        with connected(toy) as connection:
            while b"connection: close" not in answer:
                requested.append(time.monotonic())
                answer = request_livez(connection)
                answered.append(time.monotonic())
                assert answered[-1] - begun < 10
            assert connection.recv(65536) == b""
    assert len(answered) > 1 and answered[-1] - begun >= age * (1 - JITTER)
    # The connection is at least as old as its first answer, so any later request had to be the last.
    assert all(moment - answered[0] < age * (1 + JITTER) for moment in requested[1:-1])
