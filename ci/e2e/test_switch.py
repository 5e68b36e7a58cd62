"""A new version by `helm upgrade` or by one edited value, and back again, while a client asks without a pause."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ci.e2e.cluster import URLS, Workspace, ask

RELEASE = "classifier-service"
CHART = "charts/inference-service"


@pytest.fixture
def at_v1(installed: Workspace) -> Iterator[Workspace]:
    yield installed
    installed.edit_version("classifier", "v1")
    installed.helmfile("apply", "--suppress-diff", "--selector", f"name={RELEASE}")


@contextmanager
def client() -> Iterator[list[tuple[int | str, str | None]]]:
    """Asks /predict without a pause, a new connection each time; collects (status, model_version)."""
    seen: list[tuple[int | str, str | None]] = []
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            try:
                status, answer = ask(f"{URLS['classifier']}/predict", {"features": [0] * 784})
                seen.append((status, answer.get("model_version")))
            except OSError as error:
                seen.append((repr(error), None))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def served(version: str) -> bool:
    """Both /healthz and /predict speak of this version."""
    health = ask(f"{URLS['classifier']}/healthz")[1]["model"]["version"]
    return (health, ask(f"{URLS['classifier']}/predict", {"features": [0] * 784})[1]["model_version"]) == (
        version,
        version,
    )


def test_helm_upgrade_switches_and_rollback_returns_without_a_failed_request(at_v1: Workspace):
    sha256 = at_v1.manifest("mnist_rf_v2")["sha256"]
    with client() as seen:
        values = ["--set", "model.version=v2", "--set", f"model.sha256={sha256}"]
        at_v1.helm("upgrade", RELEASE, CHART, "--reuse-values", *values, "--wait", "--timeout=5m")
        at_v1.wait("v2 to answer", lambda: served("v2"), 60)
        assert ask(f"{URLS['classifier']}/healthz")[1]["model"]["sha256"] == sha256
        at_v1.helm("rollback", RELEASE, "--wait", "--timeout=5m")
        at_v1.wait("v1 to answer", lambda: served("v1"), 60)
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"v1", "v2"}


def test_one_edited_value_and_helmfile_apply_switch(at_v1: Workspace):
    at_v1.edit_version("classifier", "v2")
    before = at_v1.get("deployment", "lm-service")["metadata"]["generation"]
    at_v1.helmfile("apply", "--suppress-diff")
    at_v1.wait("v2 to answer", lambda: served("v2"), 60)
    assert at_v1.get("deployment", "lm-service")["metadata"]["generation"] == before


@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_a_damaged_artifact_never_serves_and_the_old_version_stays(at_v1: Workspace, damage: str):
    artifact = at_v1.folder / "models/mnist_rf_v2.joblib"
    whole = artifact.read_bytes()
    if damage == "missing":
        artifact.unlink()
    else:
        artifact.write_bytes(whole[:-1000] if damage == "truncated" else whole[:-1] + bytes([whole[-1] ^ 1]))
    sha256 = at_v1.manifest("mnist_rf_v2")["sha256"]
    try:
        with client() as seen:
            values = ["--set", "model.version=v2", "--set", f"model.sha256={sha256}"]
            at_v1.helm("upgrade", RELEASE, CHART, "--reuse-values", *values)
            at_v1.wait("the gate to tell why", lambda: "mnist_rf_v2" in refusal(at_v1), 90)
        at_v1.helm("rollback", RELEASE, "--wait", "--timeout=5m")
    finally:
        artifact.write_bytes(whole)
    assert set(seen) == {(200, "v1")}


def refusal(workspace: Workspace) -> str:
    """The one line of the gate that ended, as `kubectl describe` shows it."""
    for pod in workspace.get("pods", f"--selector=app.kubernetes.io/instance={RELEASE}")["items"]:
        for container in pod["status"].get("initContainerStatuses", []):
            for state in (container.get("state", {}), container.get("lastState", {})):
                message = (state.get("terminated") or {}).get("message", "").strip()
                if message and state["terminated"]["exitCode"]:
                    assert len(message.splitlines()) == 1, message
                    return message
    return ""
