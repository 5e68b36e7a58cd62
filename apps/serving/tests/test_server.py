"""A service as a process: how it loads, serves, drains and exits."""

import asyncio
import http.client
import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest

from apps.serving.tests.processes import Process, running, until

pytestmark = pytest.mark.service
TOY = "apps.serving.tests.toy"


def get(process: Process, path: str) -> tuple[int, dict]:
    answer = httpx.get(f"{process.url}{path}")
    return answer.status_code, answer.json()


def test_probes_are_answered_while_the_model_loads():
    with running(TOY, ready=False, LOAD_SECONDS=1) as toy:
        assert get(toy, "/livez")[0] == 200
        status, health = get(toy, "/healthz")
        assert (status, health["status"]) == (503, "starting")
        assert httpx.post(f"{toy.url}/sleep", json={"seconds": 0}).status_code == 503
        toy.expect("ready")
        assert get(toy, "/healthz")[0] == 200


@pytest.mark.parametrize(
    "error, message",
    [
        ("the file is not there. Put it there.", "the file is not there. Put it there."),
        ("defect", "RuntimeError: a defect"),
    ],
)
def test_a_failed_load_logs_one_line_and_exits_with_1(error, message):
    with running(TOY, ready=False, LOAD_ERROR=error) as toy:
        assert toy.wait(10) == 1
        (line,) = [line for line in toy.log if line["level"] == "error"]
        assert line["message"].endswith(message)
        assert "Traceback" not in "".join(toy.output)


def test_the_log_says_which_model_is_to_be_served_and_why_it_is_not():
    environment = {"MODEL_VERSION": "v2", "MODEL_SHA256": "e" * 64}
    with running(TOY, ready=False, LOAD_ERROR="the file is not there.", **environment) as toy:
        requested = {"model_version": "v2", "model_sha256": "e" * 64}
        assert toy.wait(10) == 1
        loading, error = (line for line in toy.log if "requested_model" in line)
        assert (loading["message"], loading["level"], loading["requested_model"]) == ("loading", "info", requested)
        assert (error["message"], error["level"]) == ("the file is not there.", "error")
        assert error["requested_model"] == requested


def test_wrong_settings_are_an_error_in_the_log_for_each_mistake_and_exit_with_2():
    with running(TOY, ready=False, MAX_QUEUE="x", DRAIN_SECOND=3) as toy:
        assert toy.wait(10) == 2
        assert [line["message"] for line in toy.log] == [
            "DRAIN_SECOND: there is no such setting. Is DRAIN_SECONDS meant?",
            "MAX_QUEUE='x': Input should be a valid integer, unable to parse string as an integer.",
        ]
        assert [line["level"] for line in toy.log] == ["error", "error"]
        assert len(toy.output) == 2


def test_a_port_in_use_is_logged_and_ends_the_process():
    with running(TOY) as first, running(TOY, "--port", str(first.port), ready=False) as second:
        assert second.wait(10) != 0
        (line,) = second.log
        assert "Address already in use" in line["message"]


@pytest.mark.parametrize("kept", [0, None], ids=["new connections", "kept connections"])
def test_sigterm_under_load_loses_no_request(kept):
    """New connections are accepted during the whole drain, and every request is answered."""
    drain, answers, ended = 2, [], asyncio.Event()

    async def client(session: httpx.AsyncClient, url: str) -> None:
        while not ended.is_set():
            answer = await session.post(url, json={"seconds": 0.02})
            answers.append((answer.status_code, answer.headers.get("connection")))

    async def scenario(toy: Process) -> None:
        limits = httpx.Limits(max_keepalive_connections=kept)
        async with httpx.AsyncClient(timeout=20, limits=limits) as session, asyncio.TaskGroup() as clients:
            for _ in range(12):
                clients.create_task(client(session, f"{toy.url}/sleep"))
            async with asyncio.timeout(10):
                while len(answers) < 50:
                    await asyncio.sleep(0.01)
            toy.signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(drain * 0.8, ended.set)

    with running(TOY, DRAIN_SECONDS=drain, MAX_IN_FLIGHT=4) as toy:
        asyncio.run(scenario(toy))
        assert toy.wait(10) == 0
        assert {status for status, _ in answers} == {200}
        assert sum(connection == "close" for _, connection in answers) > 20


def test_a_draining_process_is_at_once_not_ready_and_closes_kept_connections_with_its_responses():
    with running(TOY, DRAIN_SECONDS=5) as toy, ExitStack() as connections:
        kept = connections.enter_context(closing(http.client.HTTPConnection("127.0.0.1", toy.port, timeout=5)))
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() and kept.sock is not None
        toy.signal(signal.SIGTERM)
        toy.expect("draining")
        kept.request("GET", "/healthz")
        answer = kept.getresponse()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert json.load(answer)["status"] == "draining"
        with urllib.request.urlopen(f"{toy.url}/livez", timeout=5) as new:
            assert new.status == 200


def test_requests_in_flight_finish_after_the_drain_and_the_process_exits_with_0():
    async def scenario(toy: Process) -> int:
        async with httpx.AsyncClient(timeout=20) as session:
            response = asyncio.create_task(session.post(f"{toy.url}/sleep", json={"seconds": 1.5}))
            await asyncio.sleep(0.3)  # until it computes
            toy.signal(signal.SIGTERM)
            return (await response).status_code

    with running(TOY, DRAIN_SECONDS=0) as toy:
        assert asyncio.run(scenario(toy)) == 200
        assert toy.wait(5) == 0


def test_a_second_sigterm_ends_the_drain():
    with running(TOY, DRAIN_SECONDS=60) as toy:
        toy.signal(signal.SIGTERM)
        toy.expect("draining")
        toy.signal(signal.SIGTERM)
        assert toy.wait(5) == 0


def test_ctrl_c_skips_the_drain():
    with running(TOY, DRAIN_SECONDS=60) as toy:
        toy.signal(signal.SIGINT)
        assert toy.wait(5) == 0


@contextmanager
def computing(toy: Process) -> Iterator[Future]:
    """Send a request that computes for a minute; yield its response as a future."""
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(httpx.post, f"{toy.url}/sleep", json={"seconds": 60}, timeout=60)
        until(lambda: get(toy, "/cancelled")[1]["in_flight"] == 1)
        yield response


def test_a_second_ctrl_c_does_not_wait_for_requests():
    with running(TOY, STUBBORN=True, DRAIN_SECONDS=60) as toy, computing(toy) as response:
        toy.signal(signal.SIGINT)
        toy.expect("draining")
        assert not response.done()
        toy.signal(signal.SIGINT)
        assert toy.wait(5) == 130
        assert isinstance(response.exception(5), httpx.TransportError)


def test_a_computation_that_ignores_its_cancellation_does_not_delay_the_exit():
    with running(TOY, STUBBORN=True, DRAIN_SECONDS=0, REQUEST_TIMEOUT_SECONDS=2) as toy, computing(toy) as response:
        begun = time.monotonic()
        toy.signal(signal.SIGTERM)
        assert toy.wait(10) == 0
        assert time.monotonic() - begun < 4
        assert response.result(5).status_code == toy.log[-1]["status"] == 504


def test_a_process_that_still_loads_exits_at_once():
    with running(TOY, ready=False, LOAD_SECONDS=60, DRAIN_SECONDS=60) as toy:
        toy.expect("listening")
        toy.signal(signal.SIGTERM)
        assert toy.wait(5) == 0


def test_the_host_of_all_ipv6_interfaces_also_accepts_ipv4():
    with running(TOY, HOST="::", DRAIN_SECONDS=0) as toy:
        for address in ("127.0.0.1", "[::1]"):
            assert httpx.get(f"http://{address}:{toy.port}/livez").status_code == 200
        with running(TOY, "--port", str(toy.port), ready=False, HOST="::") as second:
            assert second.wait(10) != 0
            assert "Address already in use" in "".join(second.output)
        toy.signal()
        assert toy.wait(10) == 0
