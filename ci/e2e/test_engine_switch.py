"""Upgrade from v1 on torch to v2 on OpenVINO, and rollback: model and image change together."""

from collections.abc import Iterator

import pytest

from ci import images
from ci.e2e.cluster import URLS, Workspace, ask, client

pytestmark = pytest.mark.full
RELEASE = "lm-service"
BODY = {"prompt": "1, 2, 3, 4, 5, 6,", "max_new_tokens": 8}
GENERATE = (f"{URLS['lm']}/generate", BODY, "model_version", "generated_text")


@pytest.fixture
def at_v1(installed: Workspace) -> Iterator[Workspace]:
    yield installed
    installed.edit_version("lm", "v1")
    installed.helmfile("apply", "--suppress-diff", "--selector", f"name={RELEASE}")


def served() -> tuple[str, str]:
    """Version and engine."""
    health = ask(f"{URLS['lm']}/healthz")[1]
    return health["model_version"], health["engine"]


def test_upgrade_to_openvino_and_rollback_lose_no_request_and_generate_the_same_text(at_v1: Workspace):
    sha256 = at_v1.manifest("smollm2-135m-instruct_v2")["sha256"]
    tag = images.tags(images.OPENVINO)[0].partition(":")[2]
    values = f"model.version=v2,model.sha256={sha256},image.tag={tag}"
    with client(*GENERATE) as answers:
        chart = "charts/inference-service"
        at_v1.helm("upgrade", RELEASE, chart, "--reuse-values", "--set", values, "--wait", "--timeout=5m")
        at_v1.wait("v2 to answer", lambda: served() == ("v2", "openvino"), 60)
        at_v1.helm("test", RELEASE)
        at_v1.helm("rollback", RELEASE, "--wait", "--timeout=5m")
        at_v1.wait("v1 to answer", lambda: served() == ("v1", "transformers"), 60)
    assert set(answers) == {(200, "v1", " 7, 8, 9"), (200, "v2", " 7, 8, 9")}


def test_an_edited_version_selects_the_image_of_its_engine(at_v1: Workspace):
    at_v1.edit_version("lm", "v2")
    at_v1.helmfile("apply", "--suppress-diff", "--selector", f"name={RELEASE}")
    at_v1.wait("v2 to answer", lambda: served() == ("v2", "openvino"), 60)


def test_a_pod_with_the_wrong_engines_image_names_the_right_one_and_the_old_pod_stays(at_v1: Workspace):
    sha256 = at_v1.manifest("smollm2-135m-instruct_v2")["sha256"]
    with client(*GENERATE) as answers:
        values = f"model.version=v2,model.sha256={sha256}"
        at_v1.helm("upgrade", RELEASE, "charts/inference-service", "--reuse-values", "--set", values)
        reason = "Use the image lm-service:v1-openvino"
        at_v1.wait("the reason in the pod's log", lambda: reason in logs(at_v1, RELEASE), 120)
        at_v1.helm("rollback", RELEASE, "--wait", "--timeout=5m")
    assert {version for _, version, _ in answers} == {"v1"}


def logs(workspace: Workspace, release: str) -> str:
    """The logs of a release's pods, also those from before a restart."""
    options = ["logs", f"--selector=app.kubernetes.io/instance={release}", "--tail=-1"]
    return "".join(workspace.kubectl(*options, *previous, check=False).stdout for previous in ([], ["--previous"]))
