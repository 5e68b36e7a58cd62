"""How long a connection lasts, and how much memory its client can use."""

import re
import socket
import time
from contextlib import ExitStack, suppress

import httpx
import pytest

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


def test_an_idle_connection_stays_open_for_keep_alive_seconds():
    with running("apps.serving.tests.toy", KEEP_ALIVE_SECONDS=1) as toy, connected(toy) as connection:
        request_livez(connection)
        begun = time.monotonic()
        assert connection.recv(65536) == b""
        assert 0.9 < time.monotonic() - begun < 3


def test_an_idle_connection_outlives_a_gateways_pool_by_default():
    assert ServingSettings().keep_alive_seconds == 75


def test_a_connection_at_its_maximum_age_ends_with_a_response_and_is_never_cut():
    with running("apps.serving.tests.toy", CONNECTION_MAX_AGE_SECONDS=0.5) as toy, connected(toy) as connection:
        begun, answers, answer = time.monotonic(), 0, b""
        while b"connection: close" not in answer:
            answer = request_livez(connection)
            answers += 1
        assert 0.4 < time.monotonic() - begun < 2
        assert answers > 1
        assert connection.recv(65536) == b""
