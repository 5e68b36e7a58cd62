"""Both releases, installed once in a namespace of the tests' own, and removed at the end."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from ci import environment
from ci.cache import CACHE, CHECKOUT
from ci.e2e.cluster import NAMESPACE, Workspace

sys.dont_write_bytecode = True


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(CHECKOUT / "helmfile.yaml.gotmpl", folder)
    shutil.copytree(CHECKOUT / "charts", folder / "charts")
    models = folder / "models"
    models.mkdir()
    for manifest in (CHECKOUT / "models").glob("*.json"):
        shutil.copy(manifest, models)
        for artifact in (CHECKOUT / "models" / f"{manifest.stem}.joblib", CHECKOUT / "models" / manifest.stem):
            if artifact.is_dir():
                shutil.copytree(artifact, models / artifact.name)
            elif artifact.exists():
                shutil.copy(artifact, models)
    variables = {**environment.local(), "HELMFILE_ENVIRONMENT": "test", "MODELS_DIR": f"/host{models}"}
    return Workspace(folder, variables)


@pytest.fixture(scope="session")
def installed(workspace: Workspace) -> Iterator[Workspace]:
    """Both releases at v1."""
    _remove(workspace)
    workspace.helmfile("apply", "--suppress-diff")
    yield workspace
    if "KEEP" not in os.environ:
        _remove(workspace)


def _remove(workspace: Workspace) -> None:
    workspace.helmfile("destroy", check=False)
    workspace.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout=120s")


@pytest.fixture(scope="session")
def mnist() -> tuple[numpy.ndarray, numpy.ndarray]:
    """70,000 images as bytes (70000, 784) and their labels (70000,), in the data set's order."""
    with numpy.load(Path(CACHE / "mnist/mnist.npz")) as data:
        return data["images"], data["labels"]
