"""With Helm 3 too: install, test, switch, roll back, and a failed update."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ci.e2e.cluster import Workspace
from ci.e2e.test_switch import RELEASE, damaged
from ci.tools import extra

pytestmark = pytest.mark.full

NAMESPACE = "inference-helm3"


@pytest.fixture
def helm3(workspace: Workspace) -> Iterator[Workspace]:
    """A separate namespace, in which helmfile and the tests use Helm 3 instead of Helm 4."""
    extra.build("helm3")
    path = os.pathsep.join([str(extra.folder("helm3")), workspace.environment["PATH"]])
    environment = {**workspace.environment, "PATH": path, "HELMFILE_ENVIRONMENT": "default"}
    workspace.edit_version("classifier", "v1")
    yield replace(workspace, namespace=NAMESPACE, environment=environment)
    workspace.edit_version("classifier", "v1")
    workspace.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")


def classifier(workspace: Workspace, *words: str, **options: bool):
    """helmfile for this release in this namespace."""
    only = ["--selector", f"name={RELEASE}", "--state-values-set", f"namespace={NAMESPACE}"]
    return workspace.helmfile(*only, *words, **options)


def prove(workspace: Workspace) -> None:
    assert workspace.helm("test", RELEASE).stdout.count("Succeeded") == 3


def test_install_switch_rollback_and_a_failed_update(helm3: Workspace):
    assert helm3.run("helm", "version", "--short").stdout.startswith("v3.")
    classifier(helm3, "apply", "--suppress-diff")
    prove(helm3)
    assert classifier(helm3, "diff", "--detailed-exitcode").returncode == 0
    helm3.edit_version("classifier", "v2")
    classifier(helm3, "apply", "--suppress-diff")
    prove(helm3)
    helm3.helm("rollback", RELEASE, "--wait", "--timeout=3m")
    prove(helm3)
    with damaged(helm3, "altered"):
        assert classifier(helm3, "apply", "--suppress-diff", "--timeout", "30", check=False).returncode != 0
    assert [status for _, status in helm3.history(RELEASE)] == ["superseded"] * 3 + ["failed", "deployed"]
    prove(helm3)
