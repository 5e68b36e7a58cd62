"""Each helm test fails if its claim is false, and logs the reason."""

from collections.abc import Iterator

import pytest

from ci.e2e.cluster import Workspace
from ci.e2e.test_switch import CHART, RELEASE

pytestmark = pytest.mark.full

SERVING = f"app.kubernetes.io/name=inference-service,app.kubernetes.io/instance={RELEASE}"


@pytest.fixture
def changed(installed: Workspace) -> Iterator[Workspace]:
    """A release whose Deployment a test may change with kubectl."""
    yield installed
    installed.kubectl("scale", f"deployment/{RELEASE}", "--replicas=1")  # an autoscaler does not scale from 0
    # Makes Helm own the fields again.
    installed.helm("upgrade", RELEASE, CHART, "--reuse-values", "--force-conflicts", "--wait")
    installed.helmfile("sync", "--selector", f"name={RELEASE}")


def failure(workspace: Workspace, claim: str) -> str:
    """Run a helm test that must fail; return its log."""
    done = workspace.helm("test", RELEASE, "--filter", f"name={RELEASE}-test-{claim}", check=False)
    assert done.returncode, f"{claim} passed"
    return workspace.kubectl("logs", f"{RELEASE}-test-{claim}").stdout


def test_identity_and_prediction_fail_when_another_version_serves(changed: Workspace):
    sha256 = changed.manifest("mnist_rf_v2")["sha256"]
    values = ["--set", f"model.version=v2,model.sha256={sha256}"]
    changed.helm("upgrade", RELEASE, CHART, "--reuse-values", *values, "--wait")
    changed.kubectl("rollout", "undo", f"deployment/{RELEASE}")
    changed.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=180s")
    changed.wait("one pod", lambda: len(changed.pods("classifier")) == 1, 60)
    assert "version 'v2' expected, 'v1' came" in failure(changed, "identity")
    assert "expected" in failure(changed, "prediction")


def test_health_fails_when_no_pod_answers(changed: Workspace):
    changed.kubectl("scale", f"deployment/{RELEASE}", "--replicas=0")
    # Terminating pods still answer.
    changed.kubectl("wait", "pods", "--for=delete", f"--selector={SERVING}", "--timeout=90s")
    assert "an answer expected, none came" in failure(changed, "health")
