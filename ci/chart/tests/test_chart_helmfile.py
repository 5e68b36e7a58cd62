"""The helmfile adds the values that are not in git: the selected model's sha256, models folder, image tags."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.chart import rendering
from ci.chart.rendering import CHART, container, of_kind

LM = "smollm2-135m-instruct"
SHA256 = {version: digit * 64 for version, digit in (("v1", "1"), ("v2", "2"))}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with two versions of the classifier and one of the language model."""
    rendering.copy_helmfile(tmp_path)
    for version, sha256 in SHA256.items():
        rendering.publish(tmp_path, "mnist_rf", version, sha256)
    rendering.publish(tmp_path, LM, "v1", "4" * 64)
    return tmp_path


def classifier(checkout: Path, environment: str, *arguments: str, **variables: str) -> list[dict]:
    """Render the classifier's release."""
    only = ("--selector", "name=classifier-service")
    return rendering.helmfile(environment, *only, *arguments, root=checkout, **variables)


def template(checkout: Path, values: str) -> subprocess.CompletedProcess:
    """Render the classifier's release with state values; it may fail."""
    only = ("--environment", "default", "--selector", "name=classifier-service")
    return rendering.run("helmfile", "--quiet", *only, "template", "--state-values-set", values, cwd=checkout)


def calls(checkout: Path, folder: Path, *command: str) -> list[str]:
    """Arguments of each `helm diff` or `helm upgrade` that helmfile starts for the classifier; nothing is changed."""
    log, helm = folder / "calls", folder / "helm"
    record = f'case "$1" in diff|upgrade) echo "$*" >>{log}; exit 0;; esac'
    helm.write_text(f'#!/bin/sh\n{record}\nexec {shutil.which("helm")} "$@"\n')
    helm.chmod(0o755)
    only = ("--environment", "default", "--selector", "name=classifier-service")
    rendering.succeed("helmfile", "--quiet", "--helm-binary", helm, *only, *command, cwd=checkout)
    return log.read_text().splitlines()


def identity(rendered: list[dict], release: str = "classifier-service") -> tuple[str | None, str | None]:
    """Return the version and the sha256 in the environment of the release's pods."""
    env = {variable["name"]: variable.get("value") for variable in container(rendered, release)["env"]}
    return env["MODEL_VERSION"], env.get("MODEL_SHA256")


def test_sha256_comes_from_the_manifest_of_the_selected_version(checkout):
    assert identity(classifier(checkout, "default")) == ("v1", SHA256["v1"])


def test_editing_one_line_switches_version_and_sha256(checkout):
    values = checkout / "charts/inference-service/values-classifier.yaml"
    values.write_text(values.read_text().replace("version: v1", "version: v2"))
    assert identity(classifier(checkout, "local")) == ("v2", SHA256["v2"])


def test_one_option_switches_version_and_sha256(checkout):
    option = ("--state-values-set", "classifier.model.version=v2")
    assert identity(classifier(checkout, "local", *option)) == ("v2", SHA256["v2"])


def test_sha256_in_the_values_takes_precedence(checkout):
    option = ("--state-values-set", f"classifier.model.sha256={'3' * 64}")
    assert identity(classifier(checkout, "default", *option)) == ("v1", "3" * 64)


def test_an_unpublished_version_is_refused(checkout):
    refused = template(checkout, "classifier.model.version=v9")
    assert refused.returncode != 0
    assert (
        "classifier.model is mnist_rf_v9, and models/mnist_rf_v9.json does not exist, so its sha256 is "
        "unknown. Correct name or version, publish the model, or set classifier.model.sha256." in refused.stderr
    )


def test_a_version_without_a_manifest_is_installed_if_the_values_have_its_sha256(checkout):
    option = ("--state-values-set", f"classifier.model.version=v9,classifier.model.sha256={'3' * 64}")
    assert identity(classifier(checkout, "default", *option)) == ("v9", "3" * 64)


def test_a_model_from_another_source_needs_no_manifest_and_gets_no_sha256(checkout):
    source = "classifier.model.hostPath.path=,classifier.model.persistentVolumeClaim.claimName=models"
    option = ("--state-values-set", f"classifier.model.version=v9,{source}")
    assert identity(classifier(checkout, "default", *option)) == ("v9", None)


def test_state_values_of_an_unknown_name_are_refused(checkout):
    for name in ("classifer", "namespase"):
        refused = template(checkout, f"{name}.model.version=v2")
        assert refused.returncode != 0
        assert f"{name} is not a value of this helmfile, and would be ignored." in refused.stderr


@pytest.mark.parametrize(
    ("values", "model"),
    [
        ("classifier.model.version=v2", "mnist_rf v2"),
        (f"classifier.app=lm,classifier.model.hub.id=a/b,classifier.model.hub.revision={'0' * 40}", f"a/b {'0' * 40}"),
    ],
    ids=["version", "hub"],
)
def test_history_shows_the_model_of_each_revision(checkout, tmp_path, values, model):
    (upgrade,) = calls(checkout, tmp_path, "sync", "--state-values-set", values)
    assert f" --description {model} --" in upgrade


def test_readmes_commands_add_releases(checkout):
    for add in re.findall(r"`(sed -i .+ helmfile.yaml.gotmpl)`", (CHART / "README.md").read_text()):
        rendering.succeed("bash", "-ec", add, cwd=checkout)
    for name in ("digits-small", "houses"):
        (checkout / f"charts/inference-service/values-{name}.yaml").write_text(
            "app: classifier\nmodel: {name: mnist_rf, version: v1, hostPath: {path: /models}}\n"
        )
    rendered = of_kind(rendering.helmfile("default", root=checkout), "Deployment")
    assert list(rendered) == ["classifier-service", "lm-service", "houses-service", "digits-small-service"]


def test_diff_shows_three_lines_around_a_change(checkout, tmp_path):
    (diff,) = calls(checkout, tmp_path, "diff")
    assert "--context=3" in diff


def test_a_model_from_the_hub_gets_no_sha256_of_a_local_model(checkout):
    hub = f"lm.model.hub.id=a/b,lm.model.hub.revision={'0' * 40},lm.model.hostPath.path="
    service = container(rendering.helmfile("default", "--state-values-set", hub, root=checkout), "lm-service")
    assert {"name": "MODEL_NAME", "value": "a/b"} in service["env"]


def test_models_dir_is_the_hostpath_of_the_models(checkout):
    for variables, folder in (({}, "/models"), ({"MODELS_DIR": "/srv/models"}, "/srv/models")):
        rendered = rendering.helmfile("default", root=checkout, **variables)
        for deployment in of_kind(rendered, "Deployment").values():
            assert deployment["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"] == folder


def test_image_tags_come_from_the_environment(checkout):
    rendered = rendering.helmfile("default", root=checkout, CLASSIFIER_IMAGE_TAG="v1-0123456789ab")
    assert container(rendered, "classifier-service")["image"] == "classifier-service:v1-0123456789ab"
    assert container(rendered, "lm-service")["image"] == "lm-service:v1"


@pytest.mark.parametrize(("variables", "tag"), [({}, "v1-openvino"), ({"LM_OPENVINO_IMAGE_TAG": "v1-x"}, "v1-x")])
def test_the_image_has_the_engine_in_the_models_manifest(checkout, variables, tag):
    rendering.publish(checkout, LM, "v1", "4" * 64, engine="openvino")
    rendered = rendering.helmfile("default", root=checkout, LM_IMAGE_TAG="v1-torch", **variables)
    assert container(rendered, "lm-service")["image"] == f"lm-service:{tag}"


@pytest.mark.parametrize(("variables", "tag"), [({}, "v1-onnx"), ({"CLASSIFIER_ONNX_IMAGE_TAG": "v1-x"}, "v1-x")])
def test_an_onnx_models_image_and_path_follow_its_manifest(checkout, variables, tag):
    rendering.publish(checkout, "mnist_rf", "v1", "4" * 64, engine="onnx")
    rendered = rendering.helmfile("default", root=checkout, **variables)
    serving = container(rendered, "classifier-service")
    assert serving["image"] == f"classifier-service:{tag}"
    assert {"name": "MODEL_PATH", "value": "/models/mnist_rf_v1.onnx"} in serving["env"]


def test_a_registry_prefixes_the_images_names(checkout):
    rendered = rendering.helmfile("default", root=checkout, IMAGE_REGISTRY="registry.example.com/team")
    for app in rendering.APPS:
        assert container(rendered, f"{app}-service")["image"] == f"registry.example.com/team/{app}-service:v1"


@pytest.mark.parametrize(("environment", "ports"), [("local", (30080, 30081)), ("test", (30180, 30181))])
def test_node_ports_are_those_that_the_machine_forwards(environment, ports):
    services = of_kind(rendering.helmfile(environment), "Service")
    assert [services[f"{app}-service"]["spec"]["ports"][0]["nodePort"] for app in ("classifier", "lm")] == list(ports)


def test_no_other_environment_opens_a_port():
    for environment in ("default", "production"):
        services = of_kind(rendering.helmfile(environment), "Service").values()
        assert {service["spec"]["type"] for service in services} == {"ClusterIP"}


def test_the_test_environment_scales_down_after_15_seconds_and_the_others_after_300():
    for environment, seconds in (("test", 15), ("local", 300), ("default", 300)):
        for scaler in of_kind(rendering.helmfile(environment), "HorizontalPodAutoscaler").values():
            assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == seconds


def test_production_pins_programs_and_models_by_digest():
    rendered = rendering.helmfile("production")
    pods = [deployment["spec"]["template"]["spec"] for deployment in of_kind(rendered, "Deployment").values()]
    pods += [pod["spec"] for pod in of_kind(rendered, "Pod").values()]
    images = [c["image"] for pod in pods for c in (*pod["containers"], *pod.get("initContainers", ()))]
    assert len(images) == 20 and all("@sha256:" in image for image in images)
