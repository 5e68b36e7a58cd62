"""A model that was trained elsewhere is published only if the services can serve it exactly."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyPickler
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from apps.classifier.model import open_classifier
from models import registry
from training.__main__ import main


@pytest.fixture
def save_outside(tmp_path, digits):
    """Fit a model on the small digits, save it outside the registry and return its path."""

    def save(model, images=None):
        path = tmp_path / "elsewhere" / "own_v1.joblib"
        path.parent.mkdir(exist_ok=True)
        joblib.dump(model.fit(digits[0] / 240 if images is None else images, digits[1]), path)
        return path

    return save


@pytest.fixture
def models_dir(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def register(models_dir):
    return lambda *arguments: main(["register", *map(str, arguments), "--models-dir", str(models_dir)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0, n_jobs=2, class_weight={n: n + 1 for n in range(10)}),
        ExtraTreesClassifier(5, random_state=0),
        DecisionTreeClassifier(max_depth=np.int64(5), random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_forest_is_copied_with_probes_that_scikit_learn_answers_alike(save_outside, register, models_dir, model):
    path = save_outside(model)
    assert register(path) == 0
    artifact = models_dir / "own_v1.joblib"
    manifest, fitted = registry.verify(artifact), joblib.load(artifact)
    assert artifact.read_bytes() == path.read_bytes()
    assert manifest.hyperparameters["class"] == type(model).__name__
    assert manifest.input["shape"] == [64] and len(manifest.probes) == 10
    for probe in manifest.probes:
        row = np.array([probe["features"]], np.float32)  # None becomes NaN
        assert fitted.predict_proba(row)[0].tolist() == probe["probabilities"]
        assert str(fitted.predict(row)[0]) == probe["label"]


def test_probes_lie_on_the_forests_thresholds_which_reveal_wrong_precision(save_outside, register, models_dir):
    assert register(save_outside(RandomForestClassifier(5, random_state=0))) == 0
    forest = joblib.load(models_dir / "own_v1.joblib")
    tested = {np.float32(t) for tree in forest.estimators_ for t in tree.tree_.threshold[tree.tree_.feature >= 0]}
    probes = registry.read(models_dir / "own_v1.joblib").probes
    values = {np.float32(value) for probe in probes for value in probe["features"] if value is not None}
    assert len(values) > 20 and values <= tested | {np.float32(0)}


def test_forest_inside_the_registry_is_not_copied(save_outside, register, models_dir):
    models_dir.mkdir()
    artifact = save_outside(RandomForestClassifier(3)).rename(models_dir / "mine_v2.joblib")
    assert register(artifact) == 0
    assert registry.verify(artifact).version == "v2"
    assert register(artifact) == 1
    assert register(artifact, "--force") == 0


def test_copy_is_named_by_the_version_id(save_outside, register, models_dir):
    assert register(save_outside(RandomForestClassifier(3)), "--version-id", "other_v7") == 0
    assert registry.verify(models_dir / "other_v7.joblib").name == "other"


def test_existing_version_is_kept(save_outside, register, models_dir, capsys):
    assert register(save_outside(RandomForestClassifier(3))) == 0
    before = registry.verify(models_dir / "own_v1.joblib")
    capsys.readouterr()
    assert register(save_outside(RandomForestClassifier(4))) == 1
    text = capsys.readouterr().err
    assert "a version is never overwritten" in text and "reading" not in text
    assert registry.verify(models_dir / "own_v1.joblib") == before


def test_forest_of_natural_values_is_a_table(save_outside, register, models_dir, digits):
    assert register(save_outside(RandomForestClassifier(3, random_state=0), images=digits[0])) == 0
    manifest, fitted = registry.verify(models_dir / "own_v1.joblib"), joblib.load(models_dir / "own_v1.joblib")
    assert manifest.input["kind"] == "table"
    assert manifest.input["features"][:2] == [
        {"name": "x0", "kind": "float", "missing": "null"},
        {"name": "x1", "kind": "float", "missing": "null"},
    ]
    assert any(None in probe["features"] for probe in manifest.probes)
    for probe in manifest.probes:
        row = np.array([probe["features"]], np.float32)  # None becomes NaN
        assert fitted.predict_proba(row)[0].tolist() == probe["probabilities"]


def test_forest_of_images_of_mnists_size_from_0_to_1_takes_pixels(tmp_path, register, models_dir, capsys):
    pixels = np.random.default_rng(0).random((40, 784), np.float32)
    model = RandomForestClassifier(2, random_state=0).fit(pixels, np.arange(40) % 2)
    joblib.dump(model, tmp_path / "images_v1.joblib")
    joblib.dump(model.fit(pixels * 5, np.arange(40) % 2), tmp_path / "larger_v1.joblib")
    assert register(tmp_path / "images_v1.joblib") == 0
    assert "taken as images of 28 x 28 pixels from 0 to 1; for a table, give --features" in capsys.readouterr().err
    assert registry.read(models_dir / "images_v1.joblib").input["kind"] == "pixels"
    assert register(tmp_path / "larger_v1.joblib") == 0
    assert registry.read(models_dir / "larger_v1.joblib").input["kind"] == "table"


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressor_is_published_with_its_values(tmp_path, register, models_dir, outputs):
    x, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(3, max_depth=5, random_state=0).fit(x, np.column_stack([y] * outputs).squeeze())
    joblib.dump(model, tmp_path / "sugar_v1.joblib")
    assert register(tmp_path / "sugar_v1.joblib") == 0
    manifest = registry.verify(models_dir / "sugar_v1.joblib")
    assert manifest.classes == [] and len(manifest.probes) == 10
    for probe in manifest.probes:
        assert model.predict(np.array([probe["features"]], np.float32))[0].tolist() == probe["value"]


COUNTS = np.random.default_rng(0).poisson(3, (200, 12))
NATURAL: dict[str, tuple[Any, Any]] = {
    "iris, cm": load_iris(return_X_y=True),
    "cancer": load_breast_cancer(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "standardised": (StandardScaler().fit_transform(load_wine().data), load_wine().target),
    "counts": (COUNTS, COUNTS.sum(axis=1) > 36),
    "thresholds from 0 to 1, and one value of 5": (np.r_[load_iris().data / 8, [[5.0] * 4]], [*load_iris().target, 2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NATURAL)
def test_natural_values_are_registered_and_every_row_is_served_exactly(name, tmp_path, register, models_dir):
    x, y = NATURAL[name]
    model = ExtraTreesClassifier(7, max_depth=6, random_state=0).fit(x, y)
    joblib.dump(model, tmp_path / "own_v1.joblib")
    assert register(tmp_path / "own_v1.joblib") == 0
    classifier = open_classifier(str(models_dir / "own_v1.joblib"))
    assert classifier.table is not None
    answers = classifier.predict(classifier.table.rows([((), row) for row in np.asarray(x).tolist()]))
    assert [answer["probability"] for answer in answers] == model.predict_proba(x).max(axis=1).tolist()
    assert [answer["label"] for answer in answers] == model.predict(x).astype(str).tolist()


SAVED: dict[str, Callable[[Any], bytes]] = {
    "own_v1.pkl": lambda model: pickle.dumps(model, 5),
    "own_v1.pickle": lambda model: pickle.dumps(model, 2),
    "own_v1.joblib.gz": lambda model: gzip.compress(pickle.dumps(model)),
    "own_v1.sav": lambda model: pickle.dumps(model),
}


@pytest.mark.parametrize("name", SAVED)
def test_file_of_any_name_is_published_as_it_is_under_its_version(name, tmp_path, register, models_dir, digits):
    model = RandomForestClassifier(2, random_state=0).fit(digits[0], digits[1])
    (tmp_path / name).write_bytes(SAVED[name](model))
    options = ["--version-id", "own_v1"] if name.endswith(".sav") else []
    assert register(tmp_path / name, *options) == 0
    assert (models_dir / "own_v1.joblib").read_bytes() == (tmp_path / name).read_bytes()
    registry.verify(models_dir / "own_v1.joblib")


def test_unsupported_model_is_refused_with_its_class(save_outside, register, capsys):
    assert register(save_outside(DummyClassifier())) == 1
    assert "sklearn.dummy.DummyClassifier" in capsys.readouterr().err


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


def test_malicious_pickle_is_refused_without_running_it(tmp_path, register, capsys):
    joblib.dump(Malicious(f"touch {tmp_path}/ran"), tmp_path / "evil_v1.joblib")
    assert register(tmp_path / "evil_v1.joblib") == 1
    assert "system" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


class Disguised(NumpyPickler):  # type: ignore[misc]  # joblib has no types
    """Writes `classes_` so that a safe reader finds an array of numbers, and one that trusts its dtype a program."""

    def __init__(self, file, state: tuple, content: bytes) -> None:
        super().__init__(file, protocol=4)
        self.disguise = Reduced((np.dtype, ("i8", False, True), state)), content

    def save(self, value, *arguments) -> None:
        if value is not CLASSES:
            return super().save(value, *arguments)
        dtype, content = self.disguise
        wrapper = NumpyArrayWrapper(np.ndarray, (10,), "C", dtype, numpy_array_alignment_bytes=16)
        super().save(wrapper)
        self.framer.commit_frame(force=True)
        self.file_handle.write(content)


class Reduced:
    def __init__(self, reduced: tuple) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple:
        return self.reduced


CLASSES = Reduced(())
STATES = {
    "that says it has objects": (3, "<", None, None, None, -1, -1, 63),
    "of arrays of objects": (3, "<", (np.dtype("O"), (1,)), None, None, -1, -1, 0),
    "that is a number and also a pointer": (3, "<", None, None, None, -1, -1, 4),
}


@pytest.mark.parametrize("name", STATES)
def test_program_behind_a_forged_dtype_never_runs(tmp_path, monkeypatch, register, capsys, digits, name):
    monkeypatch.chdir(tmp_path)
    program = b"(cos\nsystem\n(S'touch ran'\ntR."  # the safe reader skips 40 bytes, because "(" is 40
    model = RandomForestClassifier(3).fit(digits[0] / 240, digits[1])
    model.classes_ = CLASSES
    with open("evil_v1.joblib", "wb") as file:
        Disguised(file, STATES[name], program.ljust(41) + np.arange(10).tobytes()).dump(model)
    assert register("evil_v1.joblib") == 1
    assert not Path("ran").exists()
    assert "not of numbers, but of objects or of arrays" in capsys.readouterr().err


def test_foreign_file_is_never_passed_to_joblib(save_outside, register, monkeypatch):
    path = save_outside(RandomForestClassifier(3))
    monkeypatch.setattr(joblib, "load", lambda *_: pytest.fail("the file was run"))
    assert register(path) == 0


def test_manifest_has_the_models_settings(save_outside, register, models_dir):
    model = RandomForestClassifier(
        3, max_depth=np.int64(4), max_features=0.5, class_weight={n: n + 1 for n in range(10)},
        random_state=np.random.RandomState(1),
    )  # fmt: skip
    assert register(save_outside(model)) == 0
    settings = registry.read(models_dir / "own_v1.joblib").hyperparameters
    assert (settings["max_depth"], settings["max_features"], settings["random_state"]) == (4, 0.5, "RandomState")
    assert settings["class_weight"] == repr({n: n + 1 for n in range(10)})


@pytest.mark.parametrize(
    "name, rule",
    [
        ("missing_v1.joblib", "is neither a file nor a folder"),
        ("notes_v1.txt", "it is not a forest saved by joblib or pickle"),
        ("notes_v1.joblib", "it is not a forest saved by joblib or pickle"),
        ("unversioned.joblib", "begins with 'v'"),
    ],
)
def test_anything_but_a_versioned_model_is_refused(tmp_path, register, capsys, name, rule):
    if not name.startswith("missing"):
        (tmp_path / name).touch()
    assert register(tmp_path / name) == 1
    assert rule in capsys.readouterr().err.splitlines()[-1]
