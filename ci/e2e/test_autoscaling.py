"""Real load, real metrics: pods are added and answer, and go again; no request fails; every decision is explained."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.e2e.cluster import NAMESPACE, URLS, Workspace
from loadgen.autoscaler import controller_log
from loadgen.autoscaler.recompute import decisions
from loadgen.cluster.observation import Observation

APPLY = ("apply", "--suppress-diff")
BURN = "classifier.artificialCpuSec=0.1"  # as in the README's demonstration


@pytest.fixture
def demonstration(installed: Workspace) -> Iterator[Workspace]:
    """Both releases with the bounds of the README's demonstrations."""
    bounds = ["--state-values-set", "classifier.autoscaling.maxReplicas=5,lm.autoscaling.maxReplicas=3"]
    installed.helmfile(*APPLY, *bounds, "--state-values-set", BURN)
    installed.wait(
        "one pod each", lambda: all(installed.ready(app) == len(installed.pods(app)) == 1 for app in URLS), 300
    )
    yield installed
    installed.helmfile(*APPLY)


def load(workspace: Workspace, app: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run a demonstration's load on the release under test, until it is back at one pod; return the document."""
    document, scenario = folder / f"{app}.json", CHECKOUT / "loadgen" / "scenarios" / f"demo-{app}.yaml"
    command = [str(python.executable()), "-m", "loadgen", "--scenario", str(scenario), "--url", URLS[app]]
    command += ["--observe", f"{NAMESPACE}/{app}-service", "--output", str(document)]
    command += ["--report", str(folder / f"{app}.html"), *options]
    done = workspace.run("env", f"PYTHONPATH={CHECKOUT}", *command, timeout=900, check=False)
    print(done.stdout, done.stderr, file=sys.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(document.read_text())
    return result


def check(document: dict[str, Any], pods: int) -> None:
    """The release went from one pod to `pods` and back, all of them answered, and no decision is unexplained."""
    assert document["summary"]["failed"] == 0, document["summary"]["errors"]
    ready = [entry["ready"] for entry in document["cluster"]["deployment"]]
    assert (ready[0], max(ready), ready[-1]) == (1, pods, 1), ready
    assert len({entry["pod"] for entry in document["summary"]["served_by"]}) >= pods
    assert document["decisions"] and [entry for entry in document["decisions"] if entry["differs"]] == []
    changes = {entry["desired"] for entry in document["decisions"]}
    assert {1, pods} <= changes, "the decisions explain the rise and the return"
    stages = {stage["stage"]: stage["at"] for stage in document["reaction"]}
    assert None not in (stages["the autoscaler decides"], stages["it is ready"], stages["a connection reaches it"])
    assert document["elasticity"]["replica_seconds"] > 0


def test_load_scales_the_classifier_at_its_bounds_and_every_decision_is_explained(demonstration, tmp_path: Path):
    check(load(demonstration, "classifier", tmp_path, "--duration-seconds", "75"), 5)


@pytest.mark.full
@pytest.mark.parametrize(("app", "pods"), [("classifier", 5), ("lm", 3)])
def test_every_sync_of_a_demonstration_is_decided_as_in_the_controllers_own_log(
    demonstration: Workspace, app: str, pods: int, tmp_path: Path
):
    document = load(demonstration, app, tmp_path)
    check(document, pods)
    log = demonstration.run(
        *("kubectl", "--namespace", "kube-system", "logs", "--selector=component=kube-controller-manager", "--tail=-1")
    ).stdout
    name = f"{NAMESPACE}/{app}-service"
    logged = controller_log.parse(log, name, f"Deployment/{name}", datetime.now(UTC).year)
    observation, start = Observation.model_validate(document["cluster"]), document["run"]["started_epoch"]
    last = max(entry.t for entry in observation.hpa)
    times = [sync.epoch - start - observation.skew_seconds for sync in logged]
    within = [(sync, t) for sync, t in zip(logged, times, strict=True) if 0 <= t <= last]
    agreement = controller_log.compare([sync for sync, _ in within], decisions(observation, [t for _, t in within]))
    print(agreement)
    assert agreement.differ == () and agreement.agree >= 10
