"""Forests of every supported scikit-learn, made by that version itself, are served as that version answers."""

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

from apps.classifier.artifact.loading import load
from apps.serving.tests.environments import python_with
from models import registry
from training.__main__ import main
from training.tests.classifier import sklearn_versions

pytestmark = pytest.mark.full
NUMPY = {  # of each version of scikit-learn, the newest that it works with
    "1.2.2": "1.26.4",
    "1.3.2": "1.26.4",
    "1.4.2": "1.26.4",
    "1.5.2": "2.0.2",
    "1.6.1": "2.1.3",
    "1.7.2": "2.2.6",
    "1.8.0": "2.3.5",
}
INSTALLED = "1.9.1"
SCRIPT = Path(sklearn_versions.__file__)


@pytest.fixture(scope="module", params=[*NUMPY, INSTALLED])
def folder(request, tmp_path_factory) -> Path:
    """A folder with the forests of one version."""
    folder = tmp_path_factory.mktemp(request.param)
    packages = f"scikit-learn=={request.param}", f"numpy=={NUMPY.get(request.param)}"
    python = python_with(*packages) if request.param in NUMPY else Path(sys.executable)
    subprocess.run([python, SCRIPT, folder], check=True)
    return folder


def test_every_forest_saved_in_every_way_is_served_as_its_own_version_answers(folder):
    files = [path for path in sorted(folder.iterdir()) if path.suffix != ".npz"]
    assert len(files) == 9 * 6
    for path in files:
        saved = np.load(path.with_suffix(".npz"))
        flat = load(path)
        assert np.array_equal(flat.evaluate(saved["rows"]), saved["answers"]), path.name
        if flat.classes:
            labels = [flat.classes[best] for best in flat.evaluate(saved["rows"]).argmax(axis=1)]
            assert labels == saved["labels"].tolist() and labels[0] == "setosa"


def test_it_is_registered_and_missing_values_are_answered_if_its_version_answers_them(folder, tmp_path):
    for path in sorted(folder.glob("*.joblib")):
        words = ["register", str(path), "--version-id", "own_v1", "--models-dir", str(tmp_path), "--force"]
        assert main(words) == 0
        features, saved = (
            registry.verify(tmp_path / "own_v1.joblib").input["features"],
            np.load(path.with_suffix(".npz")),
        )
        assert {feature["missing"] for feature in features} == {"null" if "holes" in saved else "refused"}, path.name
        if "holes" in saved:
            assert np.array_equal(load(path).evaluate(saved["holes"]), saved["hole_answers"]), path.name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_forest_that_the_installed_version_saved_again_is_served_the_same(folder, tmp_path):
    """Version 1.3 keeps weights in the leaves, and no later one notices."""
    if folder.name.startswith("1.2"):
        pytest.skip("no later version loads a file of 1.2")
    joblib.dump(joblib.load(folder / "RandomForestClassifier.joblib"), tmp_path / "again.joblib")
    saved = np.load(folder / "RandomForestClassifier.npz")
    assert np.array_equal(load(tmp_path / "again.joblib").evaluate(saved["rows"]), saved["answers"])
