"""Models from a claim and from an OCI image, in a namespace that enforces the Pod Security Standard `restricted`."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from ci import images
from ci.cluster import node_images
from ci.e2e.cluster import Workspace

pytestmark = pytest.mark.full

NAMESPACE = "inference-restricted"
CHART = "charts/inference-service"
VALUES = f"--values={CHART}/values-classifier.yaml"
SOURCES = {"claim": "model.persistentVolumeClaim.claimName=models", "image": "model.image.reference={image}"}


@pytest.fixture(scope="module")
def restricted(workspace: Workspace) -> Iterator[Workspace]:
    """The namespace, with a claim and loaded images that hold the models; one of them only root can read."""
    name, base = models_image(workspace), images.base("python")
    images.build(name, f"FROM {base}\nCOPY mnist_rf_v1.* /models/\n", workspace.folder / "models")
    unreadable = f"FROM {name}\nRUN chmod 600 /models/mnist_rf_v1.joblib\n"
    images.build(f"{name}-unreadable", unreadable, workspace.folder / "models")
    node_images.load(name)
    node_images.load(f"{name}-unreadable")
    objects = yaml.safe_dump_all([namespace(), *claim(workspace.environment["MODELS_DIR"])])
    remove = ["kubectl", "delete", "--filename=-", "--ignore-not-found", "--timeout=120s"]
    workspace.run(*remove, input=objects)  # objects of an interrupted run name another folder
    workspace.run("kubectl", "apply", "--filename=-", input=objects)
    yield replace(workspace, namespace=NAMESPACE)
    workspace.run(*remove, input=objects)


def models_image(workspace: Workspace) -> str:
    return f"localhost/mnist-rf:{workspace.manifest('mnist_rf_v1')['sha256'][:12]}"


def namespace() -> dict:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}


def claim(folder: str) -> list[dict]:
    """A read-only claim on a folder of the node, bound by name, and its volume."""
    access = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    size = {"storage": "1Gi"}
    spec = {**access, "volumeName": "inference-models", "resources": {"requests": size}}
    metadata = {"name": "models", "namespace": NAMESPACE}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "inference-models"},
            "spec": {**access, "capacity": size, "hostPath": {"path": folder}},
        },
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec},
    ]


def values_of(workspace: Workspace, source: str) -> str:
    """Values for --set: this source, and the image and the sha256 that helmfile would set."""
    tag, sha256 = workspace.environment["CLASSIFIER_IMAGE_TAG"], workspace.manifest("mnist_rf_v1")["sha256"]
    return f"{source},image.tag={tag},model.sha256={sha256}"


@pytest.mark.parametrize("name", SOURCES)
def test_release_with_this_source_passes_its_tests_under_restricted(restricted: Workspace, name: str):
    values = values_of(restricted, f"model.hostPath.path=,{SOURCES[name]}".format(image=models_image(restricted)))
    restricted.helm("upgrade", "--install", name, CHART, VALUES, "--set", values, "--wait", "--timeout=3m")
    assert restricted.helm("test", name, "--logs").stdout.count("Succeeded") == 3


def test_hostpath_is_the_only_violation_of_restricted_by_a_model_in_a_nodes_folder(restricted: Workspace):
    values = values_of(restricted, f"model.hostPath.path={restricted.environment['MODELS_DIR']}")
    pods = restricted.helm(
        "template", "folder", CHART, VALUES, "--set", values, "--show-only=templates/deployment.yaml"
    )
    warnings = restricted.kubectl("apply", "--dry-run=server", "--filename=-", input=pods.stdout).stderr
    volume = 'restricted volume types (volume "models" uses restricted volume type "hostPath")'
    assert warnings == f'Warning: would violate PodSecurity "restricted:latest": {volume}\n'


@pytest.mark.parametrize(
    ("image", "version", "reason"),
    [
        ("", "v9", "'/models/mnist_rf_v9.joblib' is neither a file nor a folder"),
        ("-unreadable", "v1", "mnist_rf_v1.joblib' for reading: Permission denied"),
    ],
)
def test_a_model_that_cannot_be_copied_fails_before_anything_is_made_and_helm_prints_why(
    restricted: Workspace, image: str, version: str, reason: str
):
    source = SOURCES["image"].format(image=models_image(restricted) + image)
    values = values_of(restricted, f"model.hostPath.path=,{source},model.version={version}")
    name = f"lacking-{version}"
    install = ["install", name, CHART, VALUES, "--set", values, "--wait", "--timeout=1m"]
    done = restricted.helm(*install, check=False)
    assert done.returncode != 0 and reason in done.stdout + done.stderr, done.stdout + done.stderr
    deployments = restricted.kubectl("get", "deployments", "--output=name").stdout.split()
    assert f"deployment.apps/{name}" not in deployments
