"""The state of the cluster right after `helmfile apply`."""

from collections.abc import Iterator
from dataclasses import replace

import joblib
import numpy
import pytest
import yaml
from sklearn.model_selection import train_test_split

from ci.chart.rendering import CUSTOM, ENVIRONMENTS, objects, of_kind
from ci.e2e.cluster import URLS, Workspace, ask

DRY_RUN = "inference-dry-run"
IMAGES = 300
MODELS = {"classifier": "mnist_rf_v1", "lm": "smollm2-135m-instruct_v1"}


@pytest.mark.parametrize("app", MODELS)
def test_healthz_reports_the_manifests_identity(installed: Workspace, app: str):
    status, answer = ask(f"{URLS[app]}/healthz")
    manifest = installed.manifest(MODELS[app])
    assert (status, answer["status"]) == (200, "ready")
    assert {key: answer["model"][key] for key in ("name", "version", "sha256")} == {
        key: manifest[key] for key in ("name", "version", "sha256")
    }


def test_helmfile_test_passes_for_both_releases(installed: Workspace):
    done = installed.helmfile("test", "--logs")
    assert (done.stdout + done.stderr).count("Succeeded") == 6


def test_releases_share_no_endpoint_and_test_pods_are_no_endpoints(installed: Workspace):
    for app in MODELS:
        names = installed.endpoints(app)
        assert names and all(name.startswith(f"{app}-service-") and "-test-" not in name for name in names)


def test_held_out_images_get_scikit_learns_labels_and_probabilities(installed: Workspace, mnist):
    pixels, labels = mnist
    split = installed.manifest("mnist_rf_v1")["data"]["split"]
    _, held_out = train_test_split(
        numpy.arange(len(labels)), train_size=split["train_ratio"], random_state=split["seed"], stratify=labels
    )
    chosen = held_out[:: len(held_out) // IMAGES][:IMAGES]
    rows = pixels[chosen].astype(numpy.float32) / 255
    forest = joblib.load(installed.folder / "models/mnist_rf_v1.joblib").set_params(n_jobs=1)
    expected = forest.predict_proba(rows)
    for row, probabilities in zip(rows, expected, strict=True):
        status, answer = ask(f"{URLS['classifier']}/predict", {"features": [float(x) for x in row]})
        best = int(numpy.argmax(probabilities))
        assert (status, answer["model_version"]) == (200, "v1")
        assert (answer["label"], answer["probability"]) == (str(forest.classes_[best]), probabilities[best])
        assert [t["probability"] for t in answer["top"]] == sorted(probabilities, reverse=True)[:3]


def test_language_model_writes(installed: Workspace):
    status, answer = ask(f"{URLS['lm']}/generate", {"prompt": "The capital of France is", "max_new_tokens": 8})
    assert (status, answer["model_version"]) == (200, "v1")
    assert "Paris" in answer["generated_text"]
    assert answer["usage"]["completion_tokens"] <= 8


def test_metrics_of_pods_are_measured(installed: Workspace):
    def measured() -> bool:
        usage = installed.kubectl("top", "pods", check=False).stdout
        return all(f"{app}-service" in usage for app in MODELS)

    installed.wait("kubectl top pods", measured, 120)


def test_apply_again_changes_nothing(installed: Workspace):
    assert installed.helmfile("diff", "--detailed-exitcode").returncode == 0


@pytest.fixture(scope="module")
def empty(workspace: Workspace) -> Iterator[Workspace]:
    """A namespace with only the service accounts that pods need to be accepted."""
    workspace.run("kubectl", "create", "namespace", DRY_RUN, check=False)  # it may exist after an interrupted run
    there = replace(workspace, namespace=DRY_RUN)
    for app in MODELS:
        there.kubectl("create", "serviceaccount", f"{app}-service", check=False)
    yield there
    workspace.run("kubectl", "delete", "namespace", DRY_RUN, "--timeout=60s")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_api_server_accepts_every_object(empty: Workspace, environment: str):
    """Custom kinds are left out, as this cluster lacks them, and so are fixed node ports, which may be in use."""
    command = ["--quiet", "--environment", environment, "template", "--state-values-set", f"namespace={DRY_RUN}"]
    documents = [document for document in objects(empty.helmfile(*command).stdout) if document["kind"] not in CUSTOM]
    for service in of_kind(documents, "Service").values():
        service["spec"]["ports"][0].pop("nodePort", None)
    dry_run = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"]
    accepted = empty.kubectl(*dry_run, input=yaml.safe_dump_all(documents)).stdout
    assert accepted.count("serverside-applied") == len(documents) > 16
