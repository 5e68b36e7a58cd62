"""The service as a process: its start, its deadlines, clients that leave, and its end."""

import json
import re
import signal
import socket
import time

import httpx
import pytest

from apps.lm import probe_client
from apps.lm.tests import hub_stand_in, process, tiny
from apps.serving.tests.processes import until
from models.registry import manifest_path

pytestmark = pytest.mark.service
CONTEXT, TIMEOUT_SECONDS = 8192, 8
LONG = {"prompt": "the fox", "max_new_tokens": CONTEXT}
SHORT_TOKENS = 2
SHORT = {"prompt": "the fox", "max_new_tokens": SHORT_TOKENS}
TOKENS = "vllm:generation_tokens_total"  # of all answers so far


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with hub_stand_in.running({"0" * 40: tmp_path_factory.mktemp("empty")}, "0" * 40) as hub:
        yield hub


@pytest.fixture(scope="module")
def starting(tmp_path_factory, hub):
    """A service whose model may answer for much longer than a test waits."""
    folder = tmp_path_factory.mktemp("models") / "endless_v1"
    tiny.publish(tiny.save("llama", folder, context=CONTEXT))
    settings = {"model_name": folder, "max_total_tokens": CONTEXT, "request_timeout_seconds": TIMEOUT_SECONDS}
    with process.starting(**settings, max_in_flight=1, hf_endpoint=hub.url) as service:
        yield service


@pytest.fixture(scope="module")
def first_health(starting):
    """The answer of /healthz as soon as the service listens."""
    return httpx.get(f"{starting.url}/healthz", trust_env=False)


@pytest.fixture(scope="module")
def service(starting, first_health):
    """The same service, ready."""
    starting.expect("ready", process.SECONDS)
    return starting


@pytest.fixture
def client(service):
    with process.client(service) as client:
        yield client


def expect_free(service, client, request_id: str, status: int) -> None:
    """Expect that the request ends with `status` in the log, and that the model computes nothing more for it.

    There is one place: until the model is free, the next request waits and the count of tokens grows.
    """
    until(lambda: [line for line in service.log if line.get("request_id") == request_id])
    (line,) = (line for line in service.log if line.get("request_id") == request_id)
    assert line["status"] == status
    before = metric(client, TOKENS)
    assert client.post("/generate", json=SHORT).status_code == 200
    step_under_way = 1
    assert metric(client, TOKENS) - before <= SHORT_TOKENS + step_under_way


def metric(client, name: str) -> float:
    (value,) = re.findall(rf"(?m)^{name}{{.*}} (\S+)$", client.get("/metrics").text)
    return float(value)


def test_a_folder_never_calls_the_hub(hub, client):
    assert client.post("/generate", json=SHORT).json()["usage"]["completion_tokens"] == 2
    assert hub.requests == []


def test_health_answers_starting_before_the_model_is_loaded(first_health, service, client):
    assert (first_health.status_code, first_health.json()["status"]) == (503, "starting")
    steps = ("listening", "loading", "verified", "loaded", "ready")
    logged = [line for line in service.log if line["message"] in steps]
    assert [line["message"] for line in logged] == list(steps)
    assert logged[-1]["seconds"] > 0.5
    _, loading, verified, *_ = logged
    assert verified["path"] == loading["requested_model"]["model_name"]
    assert set(verified["model"]) == {"name", "version", "sha256", "engine"} and None not in verified["model"].values()
    ready = client.get("/healthz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_a_client_that_disconnects_frees_the_model_at_once(service, client):
    with pytest.raises(httpx.ReadTimeout):
        client.post("/generate", json=LONG, timeout=0.5, headers={"X-Request-ID": "disconnects"})
    expect_free(service, client, "disconnects", 499)


def test_an_answer_ends_before_its_deadline_with_what_it_has_and_frees_the_model(service, client):
    begun = time.monotonic()
    answer = client.post("/generate", json=LONG, headers={"X-Request-ID": "takes-long"})
    assert answer.status_code == 200
    assert answer.json()["stop_reason"] == "deadline"
    assert 1 < answer.json()["usage"]["completion_tokens"] < CONTEXT - 2
    assert 0.8 <= (time.monotonic() - begun) / TIMEOUT_SECONDS < 1
    expect_free(service, client, "takes-long", 200)


def test_a_prompt_as_long_as_a_body_is_refused_before_the_model_is_free_and_without_tokenising_all_of_it(client):
    with client.stream("POST", "/generate", json=LONG | {"stream": True}) as answer:
        lines = answer.iter_lines()  # the stream would be closed with this iterator
        next(lines)
        refusal = client.post("/generate", json={"prompt": "x " * 300_000})
        assert metric(client, "vllm:num_requests_running") == 1
    assert refusal.status_code == 422
    assert f"more than {2 * CONTEXT} tokens" in refusal.json()["detail"]


def test_a_missing_folder_ends_the_process_with_one_line(tmp_path):
    with process.starting(model_name=tmp_path / "missing_v1") as service:
        assert service.wait(process.SECONDS) == 1
    (line,) = [line for line in service.log if line["level"] == "error"]
    assert "missing_v1' is neither a file nor a folder" in line["message"]


def test_without_a_model_name_the_process_ends_with_one_line():
    with process.starting() as service:
        assert service.wait(process.SECONDS) == 2
    (line,) = service.log
    assert (line["level"], line["message"]) == ("error", "MODEL_NAME is not set, and has no default.")


def test_a_stream_that_is_closed_frees_the_model_at_once(service, client):
    headers = {"X-Request-ID": "closes"}
    with client.stream("POST", "/generate", json=LONG | {"stream": True}, headers=headers) as answer:
        next(answer.iter_lines())
    expect_free(service, client, "closes", 499)


def test_a_client_that_does_not_read_delays_no_other(service, client):
    body = json.dumps(SHORT | {"stream": True, "max_new_tokens": 1000}).encode()
    head = "POST /generate HTTP/1.1\r\nHost: lm\r\nConnection: close\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        slow.settimeout(60)
        slow.connect(("127.0.0.1", service.port))
        slow.sendall(head.encode() + body)
        assert slow.recv(1)
        # Before its deadline: as soon as the slow client's answer is computed, read or not.
        assert client.post("/generate", json=SHORT).status_code == 200
        received = b"".join(iter(lambda: slow.recv(65536), b""))
    *_, last = (line for line in received.decode().splitlines() if line.startswith("data: "))
    assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] == 1000


def test_pieces_arrive_while_the_answer_is_computed(client):
    begun = time.monotonic()
    with client.stream("POST", "/generate", json=SHORT | {"stream": True, "max_new_tokens": 500}) as answer:
        arrivals = [time.monotonic() - begun for line in answer.iter_lines() if line]
    assert len(arrivals) > 50
    assert arrivals[0] < arrivals[len(arrivals) // 2] < 0.9 * arrivals[-1]


def test_helm_tests_pass_and_a_stream_is_finished_after_sigterm(tmp_path):
    folder = tiny.save("gpt2", tmp_path / "probed_v1", context=2048)
    manifest = manifest_path(tiny.publish(folder, probes=[tiny.probe(folder)]))
    with process.serving(model_name=folder, max_total_tokens=2048) as service:
        claims = ["identity", "--name=probed", "--version=v1"], ["prediction", f"--manifest={manifest}"]
        for claim, *arguments in claims:
            assert probe_client.run([claim, service.url, *arguments]) == 0
        with process.client(service) as client:
            body = {"prompt": "the fox", "max_new_tokens": 1000, "stream": True}
            with client.stream("POST", "/generate", json=body) as answer:
                lines = (line for line in answer.iter_lines() if line)
                next(lines)
                service.signal(signal.SIGTERM)
                *_, last = lines
        assert json.loads(last.removeprefix("data: "))["usage"]["completion_tokens"] == 1000
        assert service.wait() == 0
