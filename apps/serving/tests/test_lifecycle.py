"""Starting, ready and draining, as probes and clients see them."""

import pytest

from apps.serving import startup
from apps.serving.lifecycle import State

SHAPE = {"status", "model", "model_version", "engine", "uptime_seconds"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_service_that_loads_is_alive_and_not_ready(starting, path):
    answer = starting.get(path)
    assert (answer.status_code, answer.json()["status"]) == (503, "starting")
    assert set(answer.json()) == SHAPE
    assert set(answer.json()["model"]) == {"name", "version", "sha256", "engine"}
    assert starting.get("/livez").status_code == 200


def test_requests_before_the_model_is_loaded_are_refused_with_retry_after(starting):
    answer = starting.post("/sleep", json={"seconds": 0})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "being loaded" in answer.json()["detail"]
    assert "inference_compute_seconds_count 0.0" in starting.get("/metrics").text


def test_a_ready_service_identifies_its_model(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert set(answer.json()) == SHAPE
    assert answer.json()["status"] == "ready"
    assert answer.json()["model"] == {"name": "toy", "version": "v1", "sha256": "f" * 64, "engine": "toy"}
    assert answer.json()["model_version"] == "v1"
    assert client.get("/readyz").status_code == 200


def test_a_draining_service_is_not_ready_and_serves_and_closes_its_connections(client):
    client.app.state.runtime.lifecycle.drain()
    health, work = client.get("/healthz"), client.post("/sleep", json={"seconds": 0})
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert set(health.json()) == SHAPE
    assert work.status_code == 200
    assert health.headers["connection"] == work.headers["connection"] == "close"
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("draining", [False, True])
def test_a_failed_model_is_reported_to_probes_and_clients_until_the_process_is_restarted(client, draining):
    runtime = client.app.state.runtime
    runtime.service.broken = "The model toy has failed."
    if draining:
        runtime.lifecycle.drain()
    answers = [client.get(path) for path in ("/livez", "/readyz", "/healthz")]
    answers.append(client.post("/sleep", json={"seconds": 0}))
    assert [answer.status_code for answer in answers] == [503] * 4
    assert {answer.json()["detail"] for answer in answers} == {"The model toy has failed."}
    assert answers[2].json()["status"] == "failed"


def test_a_load_that_ends_during_the_drain_does_not_make_the_service_ready_again(starting):
    starting.app.state.runtime.lifecycle.drain()
    starting.portal.call(startup.load, starting.app.state.runtime)
    assert starting.app.state.runtime.lifecycle.state is State.DRAINING
