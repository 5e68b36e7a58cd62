"""Clients that request an upgrade of the protocol, as Java's and curl's do, directly and through nginx.

Each request has a distinct response. A server that stops parsing at an upgrade takes the body for the next request:
its client gets a 400, and behind a proxy another client gets the response.
"""

import json
import operator
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from apps.serving.tests.nginx import nginx
from apps.serving.tests.processes import running

pytestmark = pytest.mark.service
JAVA = Path(__file__).with_name("JavaClient.java")
JSON = ["-H", "Content-Type: application/json"]
TRIES, SECONDS = 60, 60
SMUGGLED = (
    b"\r\n" * 50_000 + b"GET /cancelled HTTP/1.1\r\nHost: toy\r\n\r\n" * 20
)  # more bytes than nginx sends at once
ATTACK = (
    b"POST /sleep HTTP/1.1\r\nHost: toy\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
)


@pytest.fixture(scope="module")
def toy_port() -> Iterator[int]:
    with running("apps.serving.tests.toy", MAX_IN_FLIGHT=4) as process:
        yield process.port


@pytest.fixture(scope="module", params=["direct", "nginx, buffering on", "nginx, buffering off"])
def port(request, toy_port, tmp_path_factory) -> Iterator[int]:
    """The port of the toy service, or of nginx in front of it."""
    if request.param == "direct":
        yield toy_port
        return
    with nginx(toy_port, tmp_path_factory.mktemp("nginx"), request.param.rpartition(" ")[2]) as port:
        yield port


def program(name: str, package: str) -> str:
    """Return a program's path; skip the test where it is not installed."""
    if (path := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return path


def answers(port: int, client: int) -> int:
    """Return how many of TRIES requests on one connection got their own response."""
    seconds = [0.001 + client / 1e4 + number / 1e6 for number in range(TRIES)]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as session:
        slept = [session.post("/sleep", json={"seconds": value}).json().get("slept") for value in seconds]
    return sum(map(operator.eq, slept, seconds))


def refusals(port: int) -> int:
    """Return how many of TRIES bodies that contain requests got one response, a 400 because they are not JSON."""
    return sum(refused(port) for _ in range(TRIES))


def refused(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(ATTACK)
        connection.sendall(SMUGGLED)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: toy\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"400", b"200"] and b"not JSON" in answer


def test_javas_default_client_gets_its_responses(port):
    words = [program("java", "default-jdk-headless"), str(JAVA), f"http://127.0.0.1:{port}/sleep", "200"]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=2 * SECONDS)
    assert (finished.stdout.strip(), finished.stderr) == ("200", "")


def test_curl_with_http2_gets_its_responses(port):
    seconds, words = [0.001 + number / 1e6 for number in range(50)], list[str]()
    for value in seconds:
        body = json.dumps({"seconds": value})
        words += ["--next", "--http2", "--silent", *JSON, "--data", body, f"http://127.0.0.1:{port}/sleep"]
    command = [program("curl", "curl"), *words[1:]]
    output = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS).stdout
    assert [answer["slept"] for answer in map(json.loads, output.replace("}{", "}\n{").splitlines())] == seconds


def test_no_client_gets_the_response_to_a_request_inside_anothers_body(port):
    with ThreadPoolExecutor() as threads:
        own = [threads.submit(answers, port, client) for client in range(4)]
        attacks = [threads.submit(refusals, port) for _ in range(2)]
        assert [future.result() for future in own] == [TRIES] * 4
        assert [future.result() for future in attacks] == [TRIES] * 2
