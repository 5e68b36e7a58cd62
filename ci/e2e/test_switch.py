"""Upgrade with `helm upgrade` or one edited value, and rollback, while a client sends requests without a pause."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from ci.cache import CHECKOUT
from ci.e2e.cluster import URLS, Workspace, ask, client

RELEASE = "classifier-service"
CHART = "charts/inference-service"
PREDICT = (f"{URLS['classifier']}/predict", {"features": [0] * 784}, "model_version")
PREFLIGHT = f"{RELEASE}-preflight"
PREFLIGHT_SECONDS = 5  # what a good upgrade pays at most
# From kubelet's start of a pod to the end of its container. Helm deletes the pod, so a watch has to see them.
LIFETIME = "{.status.startTime} {.status.containerStatuses[0].state.terminated.finishedAt}"
ONLY = ("--suppress-diff", "--selector", f"name={RELEASE}")


@pytest.fixture
def at_v1(installed: Workspace) -> Iterator[Workspace]:
    yield installed
    installed.edit_version("classifier", "v1")
    installed.helmfile("apply", *ONLY)


@pytest.fixture
def two_pods(at_v1: Workspace) -> Workspace:
    """The autoscaler has raised the classifier to two pods, and takes none away for five minutes."""
    calm = "classifier.autoscaling.behavior.scaleDown.stabilizationWindowSeconds=300"
    at_v1.helmfile("apply", *ONLY, "--state-values-set", calm)  # replaces no pod
    with client(*PREDICT), client(*PREDICT):  # several times the target of 70m CPU
        at_v1.wait("the autoscaler to add a pod", lambda: at_v1.ready("classifier") == 2, 180)
    return at_v1


@contextmanager
def watched(workspace: Workspace, *objects: str, fields: str) -> Iterator[list[str]]:
    """Collects a line with these fields (JSONPath) at each change of the objects."""
    lines: list[str] = []
    with workspace.start("kubectl", "get", *objects, "--watch", f"--output=jsonpath={fields}{{'\\n'}}") as process:
        try:
            yield lines
        finally:
            process.terminate()
            lines += process.communicate()[0].splitlines()


def served(version: str) -> bool:
    """Whether /healthz and /predict both report this version."""
    health = ask(f"{URLS['classifier']}/healthz")[1]["model"]["version"]
    return (health, ask(f"{URLS['classifier']}/predict", {"features": [0] * 784})[1]["model_version"]) == (
        version,
        version,
    )


def prove(workspace: Workspace, version: str) -> None:
    """Assert that this version's artifact is served and that all three helm tests pass."""
    workspace.wait(f"{version} to answer", lambda: served(version), 60)
    sha256 = workspace.manifest(f"mnist_rf_{version}")["sha256"]
    assert ask(f"{URLS['classifier']}/healthz")[1]["model"]["sha256"] == sha256
    assert workspace.helm("test", RELEASE).stdout.count("Succeeded") == 3


def test_upgrade_and_rollback_fail_no_request_and_keep_the_autoscalers_pods(two_pods: Workspace):
    sha256 = two_pods.manifest("mnist_rf_v2")["sha256"]
    assert served("v1")
    counts = watched(two_pods, "deployment", RELEASE, fields="{.spec.replicas}")
    with client(*PREDICT) as answers, counts as pods:
        values = ["--set", "model.version=v2", "--set", f"model.sha256={sha256}"]
        two_pods.helm("upgrade", RELEASE, CHART, "--reuse-values", *values, "--wait", "--timeout=5m")
        prove(two_pods, "v2")
        two_pods.helm("rollback", RELEASE, "--wait", "--timeout=5m")
        prove(two_pods, "v1")
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {"v1", "v2"}
    assert set(pods) == {"2"}


def test_an_edited_version_is_served_and_after_a_bad_release_the_notes_restore_the_old_one(at_v1: Workspace):
    at_v1.edit_version("classifier", "v2")
    before = at_v1.get("deployment", "lm-service")["metadata"]["generation"]
    with watched(at_v1, "pods", f"--field-selector=metadata.name={PREFLIGHT}", fields=LIFETIME) as lifetimes:
        at_v1.helmfile("apply", "--suppress-diff")
    assert seconds_between(lifetimes[-1]) <= PREFLIGHT_SECONDS
    at_v1.wait("v2 to answer", lambda: served("v2"), 60)
    assert at_v1.get("deployment", "lm-service")["metadata"]["generation"] == before
    sha256 = at_v1.manifest("mnist_rf_v2")["sha256"]
    assert f"mnist_rf v2 (sha256 {sha256[:12]})" in at_v1.kubectl("rollout", "history", f"deployment/{RELEASE}").stdout

    bad = ("--state-values-set", f"classifier.model.sha256={'0' * 64}")
    assert at_v1.helmfile("apply", *ONLY, *bad, check=False).returncode != 0
    assert [status for _, status in at_v1.history(RELEASE)][-3:] == ["superseded", "failed", "deployed"]
    assert served("v2")
    go_back(at_v1, "mnist_rf v1")
    at_v1.wait("v1 to answer", lambda: served("v1"), 60)


def seconds_between(moments: str) -> float:
    """Seconds between the API's two timestamps in a line, which are whole seconds."""
    start, end = map(datetime.fromisoformat, moments.split())
    return (end - start).total_seconds()


def go_back(workspace: Workspace, model: str) -> None:
    """Roll back with the notes' commands to the last superseded revision of this model in the history."""
    notes = workspace.helm("get", "notes", RELEASE).stdout
    history, rollback = (line.split() for line in notes.splitlines() if line.startswith(("  helm hist", "  helm roll")))
    rows = [
        row
        for row in workspace.run(*history).stdout.splitlines()
        if "superseded" in row and row.rstrip().endswith(model)
    ]
    revision = rows[-1].split()[0]
    workspace.run(*(revision if word == "REVISION" else word for word in rollback))


@contextmanager
def damaged(workspace: Workspace, damage: str) -> Iterator[None]:
    """v2 with an artifact that does not match its manifest."""
    artifact = workspace.folder / "models/mnist_rf_v2.joblib"
    original = artifact.read_bytes()
    altered = original[:-1] + bytes([original[-1] ^ 1])
    content = {"altered": altered, "truncated": original[:-1000], "missing": None}[damage]
    artifact.unlink()
    if content is not None:
        artifact.write_bytes(content)
    try:
        yield
    finally:
        artifact.write_bytes(original)


DAMAGES = ["altered", *(pytest.param(damage, marks=pytest.mark.full) for damage in ("truncated", "missing"))]


@pytest.mark.parametrize("damage", DAMAGES)
def test_preflight_refuses_a_damaged_artifact_and_helm_prints_why(at_v1: Workspace, damage: str):
    (revision, _) = at_v1.history(RELEASE)[-1]
    at_v1.edit_version("classifier", "v2")
    before = at_v1.get("deployment", RELEASE)["spec"]["template"]
    with damaged(at_v1, damage), client(*PREDICT) as answers:
        started = time.monotonic()
        done = at_v1.helmfile("apply", *ONLY, check=False)
        seconds = time.monotonic() - started
    printed = done.stdout + done.stderr
    assert done.returncode != 0 and "mnist_rf_v2.joblib' " in printed, printed
    assert "deadline exceeded" not in printed and seconds < 60, f"{seconds:.0f} s\n{printed}"
    assert at_v1.get("deployment", RELEASE)["spec"]["template"] == before
    assert set(answers) == {(200, "v1")}
    assert at_v1.history(RELEASE)[-2:] == [(revision + 1, "failed"), (revision + 2, "deployed")]
    assert at_v1.get("pod", PREFLIGHT)["status"]["phase"] == "Failed"


@pytest.mark.parametrize("damage", DAMAGES)
def test_gate_of_a_pod_refuses_a_damaged_artifact_while_the_old_version_serves(at_v1: Workspace, damage: str):
    (revision, _) = at_v1.history(RELEASE)[-1]
    at_v1.edit_version("classifier", "v2")
    unchecked = ("--state-values-set", "classifier.preflight.enabled=false", "--timeout", "20")
    with damaged(at_v1, damage), client(*PREDICT) as answers, ThreadPoolExecutor() as pool:
        applying = pool.submit(at_v1.helmfile, "apply", *ONLY, *unchecked, check=False)
        at_v1.wait("the gate's reason", lambda: "mnist_rf_v2" in refusal(at_v1), 60)
        assert applying.result().returncode != 0
    assert set(answers) == {(200, "v1")}
    assert at_v1.history(RELEASE)[-2:] == [(revision + 1, "failed"), (revision + 2, "deployed")]


def refusal(workspace: Workspace) -> str:
    """The termination message of a failed gate, one line, as `kubectl describe` shows it; empty if none failed."""
    for pod in workspace.get("pods", f"--selector=app.kubernetes.io/instance={RELEASE}")["items"]:
        for container in pod["status"].get("initContainerStatuses", []):
            for state in (container.get("state", {}), container.get("lastState", {})):
                message = (state.get("terminated") or {}).get("message", "").strip()
                if message and state["terminated"]["exitCode"]:
                    assert len(message.splitlines()) == 1, message
                    return message
    return ""


@pytest.mark.full
def test_replicas_that_another_manager_applies_cause_no_conflict(at_v1: Workspace):
    patch = '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "%s"}, "spec": {"replicas": 2}}'
    command = ["apply", "--server-side", "--force-conflicts", "--field-manager=another", "--filename=-"]
    at_v1.kubectl(*command, input=patch % RELEASE)
    at_v1.helm("upgrade", RELEASE, CHART, "--reuse-values", "--set", "podAnnotations.note=second", "--wait")
    fields = at_v1.get("deployment", RELEASE, "--show-managed-fields")["metadata"]["managedFields"]
    owners = {entry["manager"] for entry in fields if "f:replicas" in entry["fieldsV1"].get("f:spec", {})}
    assert owners and owners <= {"another", "kube-controller-manager"}, "Helm must not own replicas"


@pytest.mark.full
def test_the_autoscaler_takes_back_what_kubectl_scale_sets_except_zero_and_no_upgrade_conflicts(at_v1: Workspace):
    scale, note = ("scale", f"deployment/{RELEASE}"), "--state-values-set=classifier.podAnnotations.note"
    at_v1.kubectl(*scale, "--replicas=2")
    at_v1.helmfile("apply", *ONLY, f"{note}=two")
    at_v1.wait("the autoscaler to set its number", lambda: deployment(at_v1)["replicas"] == 1, 120)
    at_v1.kubectl(*scale, "--replicas=0")
    paused = "{.status.conditions[?(@.type=='ScalingActive')].reason}"
    reason = ("get", "hpa", RELEASE, f"--output=jsonpath={paused}")
    at_v1.wait("the autoscaler to pause", lambda: at_v1.kubectl(*reason).stdout == "ScalingDisabled", 60)
    at_v1.helmfile("apply", *ONLY, f"{note}=none")
    assert deployment(at_v1)["replicas"] == 0
    at_v1.kubectl(*scale, "--replicas=1")


@pytest.mark.full
def test_rollout_undo_set_and_scale_conflict_with_the_next_change_and_the_readmes_command_resolves_it(at_v1: Workspace):
    fixed = (*ONLY, "--state-values-set", "classifier.autoscaling.enabled=false")
    at_v1.edit_version("classifier", "v2")
    at_v1.helmfile("apply", *fixed)
    before = deployment(at_v1)
    at_v1.kubectl("rollout", "undo", f"deployment/{RELEASE}")
    at_v1.wait("v1 to answer", lambda: served("v1"), 120)
    at_v1.kubectl("set", "resources", f"deployment/{RELEASE}", "--containers=classifier", "--limits=memory=600Mi")
    at_v1.kubectl("scale", f"deployment/{RELEASE}", "--replicas=2")

    change = ("--state-values-set", "classifier.podAnnotations.note=changed")
    refused = at_v1.helmfile("apply", *fixed, *change, check=False)
    printed = refused.stdout + refused.stderr
    fields = ("inference-service/model-version", ".resources.limits.memory", ".spec.replicas")  # one of each command
    assert refused.returncode != 0 and "conflicts with" in printed and all(f in printed for f in fields), printed

    section = (CHECKOUT / CHART / "README.md").read_text().partition("### Conflicts\n")[2]
    (command,) = re.findall(r"`helmfile (apply --sync-args --force-conflicts)`", section)[:1]
    at_v1.helmfile(*command.split(), *fixed, *change)
    prove(at_v1, "v2")
    at_v1.helmfile("apply", *fixed)  # without the annotation: Helm owns the fields again
    assert deployment(at_v1) == before


def deployment(workspace: Workspace) -> dict[str, Any]:
    return workspace.get("deployment", RELEASE)["spec"]


@pytest.mark.full
def test_a_rollback_lasts_if_the_value_is_set_back(at_v1: Workspace):
    at_v1.edit_version("classifier", "v2")
    at_v1.helmfile("apply", *ONLY)
    at_v1.helm("rollback", RELEASE, "--wait", "--timeout=5m")
    diff = ["diff", "--selector", f"name={RELEASE}", "--detailed-exitcode"]
    assert at_v1.helmfile(*diff, check=False).returncode == 2
    at_v1.edit_version("classifier", "v1")
    assert at_v1.helmfile(*diff).returncode == 0
