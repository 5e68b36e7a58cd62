"""An error of one sequence ends that sequence. Any other error ends all of them, and the pod is restarted."""

import json
import logging
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from apps.lm.tests import process, tiny
from apps.lm.tests.conftest import serving
from apps.lm.tests.engines.failing import FATAL, FailingService
from apps.serving.tests.processes import running, until

SECONDS = 30
GOOD = {"prompt": "the fox", "max_new_tokens": 8}
BAD = {"prompt": "the fox", "max_new_tokens": FATAL}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose answers can take much longer than a test waits."""
    return tiny.publish(tiny.save("llama", tmp_path_factory.mktemp("models") / "endless_v1", context=8192))


def failing(folder, place):
    """A service whose batch fails at `place`."""
    return serving(folder, FailingService(place), max_total_tokens=8192)


@contextmanager
def concurrent_stream(client, tokens):
    """A stream of another client, in progress; the function that is yielded waits for its last event."""
    with ThreadPoolExecutor(1) as pool:
        body = {"prompt": "the fox", "max_new_tokens": tokens, "stream": True}
        other = pool.submit(client.post, "/generate", json=body)
        until(lambda: client.app.state.runtime.admission.in_flight)
        yield lambda: other.result(SECONDS).text.removesuffix("\n\n").split("\n\n")[-1]


def computations(client) -> float:
    (count,) = re.findall(r"(?m)^inference_compute_seconds_count (\S+)$", client.get("/metrics").text)
    return float(count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "stops", "status"),
    [("step", False, 500), ("collect", False, 500), ("leave", False, 500), ("leave", True, 200)],
    ids=["step", "collect", "leave at its end", "leave before its end"],
)
def test_a_batch_that_fails_ends_all_sequences_and_the_service_is_not_live(folder, caplog, place, stops, status):
    with failing(folder, place) as client:
        stop = client.post("/generate", json=GOOD).json()["generated_text"][0] if stops else []
        with concurrent_stream(client, 8000) as last_event:
            assert client.post("/generate", json=BAD | {"stop": stop}).status_code == status
            last = last_event()
        until(lambda: client.get("/livez").status_code == 503)
        computed = computations(client)
        live, ready, later = client.get("/livez"), client.get("/readyz"), client.post("/generate", json=GOOD)
        assert computations(client) == computed, "refused without a place and without the engine"
    assert last.startswith("event: error\n") and '"status": 500' in last
    assert (ready.status_code, ready.json()["status"]) == (503, "failed")
    assert (later.status_code, later.headers["retry-after"]) == (503, "1")
    details = {answer.json()["detail"] for answer in (live, ready, later)}
    error = "KeyError" if place == "collect" else "RuntimeError"
    assert details == {f"The engine has failed ({error}) and answers nothing until the process is restarted."}
    (reason,) = [record for record in caplog.records if record.message == "the engine has failed"]
    assert reason.exc_info and reason.levelno == logging.ERROR


@pytest.mark.slow
def test_a_sequence_that_cannot_join_ends_alone(folder):
    with failing(folder, "join") as client, concurrent_stream(client, 100) as last_event:
        answer = client.post("/generate", json=BAD)
        assert answer.status_code == 500 and "secret" not in answer.text
        assert json.loads(last_event().removeprefix("data: "))["usage"]["completion_tokens"] == 100
        assert client.post("/generate", json=GOOD).status_code == 200
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200


@pytest.mark.service
def test_sigterm_ends_a_process_whose_engine_has_failed(folder):
    settings = {"MODEL_NAME": folder, "MAX_TOTAL_TOKENS": 8192} | process.ENVIRONMENT
    with running("apps.lm.tests.engines.failing", ready=False, **settings) as service:
        service.expect("ready", process.SECONDS)
        with process.client(service) as client:
            assert client.post("/generate", json=BAD).status_code == 500
            assert client.get("/livez").status_code == 503
        service.signal(signal.SIGTERM)
        assert service.wait(5) == 0
