"""The client of `helm test` exits with 0 and a line, or with 1 and a line that says what differs."""

import json

import pytest

from apps.serving import probe
from apps.serving.tests.stand_in import answering

MODEL = {"name": "toy", "version": "v1", "sha256": "f" * 64}
READY = {"status": "ready", "model": MODEL}


@pytest.fixture
def health():
    """The status and the JSON that the service answers to everything; both can be changed."""
    return {"status": 200, "body": READY}


@pytest.fixture
def url(health):
    with answering(lambda path, body: (health["status"], health["body"])) as url:
        yield url


def predict(url: str, probes: list[probe.JsonObject]) -> list[probe.JsonObject]:
    return [{"model_version": "v1"} for _ in probes]


@pytest.fixture
def run(capsys):
    """Runs the command line; returns the exit status and the only line that it prints."""

    def run(*arguments: str) -> tuple[int, str]:
        status = probe.main(predict, "probe", list(arguments))
        output = capsys.readouterr()
        assert (output.out == "") == (status == 1) and (output.err == "") == (status == 0)
        (line,) = (output.out or output.err).splitlines()
        return status, line

    return run


def test_a_ready_service_passes(run, url):
    assert run("health", f"{url}/") == (0, f"{url} is ready and serves name toy version v1 sha256 {'f' * 64}")


def test_a_service_that_is_not_ready_fails(run, url, health):
    health.update(status=503, body={"status": "draining"})
    assert run("health", url) == (1, f"{url}/healthz: 200 and ready expected, 503 and 'draining' came")


def test_a_service_that_does_not_listen_fails(run, url, monkeypatch):
    monkeypatch.setattr(probe, "CONNECT_SECONDS", 0)
    status, line = run("health", "http://127.0.0.1:9")
    assert status == 1 and line.startswith("http://127.0.0.1:9/healthz: an answer expected, none came (")


def test_an_answer_of_another_shape_fails(run, url, health):
    health["body"] = {"status": "ready", "model": "toy"}
    status, line = run("identity", url, "--name=toy")
    assert status == 1 and line.startswith("an answer or the manifest has another shape: AttributeError: ")


def test_every_difference_of_the_identity_is_named(run, url):
    assert run("identity", url, "--name=toy", "--version=")[0] == 0
    expected = f"{url}/healthz: name 'x' expected, 'toy' came; version 'v2' expected, 'v1' came"
    assert run("identity", url, "--name=x", "--version=v2") == (1, expected)


@pytest.mark.parametrize(
    "version, status, line",
    [
        ("v1", 0, "{0} answered 2 requests as published, by version v1"),
        ("v2", 1, "{0}: model_version 'v2' expected, 'v1' came"),
    ],
)
def test_predictions_must_come_from_the_version_of_the_manifest(run, url, tmp_path, version, status, line):
    manifest = tmp_path / "toy.json"
    manifest.write_text(json.dumps({"version": version, "probes": [{}, {}]}))
    assert run("prediction", url, f"--manifest={manifest}") == (status, line.format(url))
