"""A model that was logged to MLflow brings its rows, run and commit; the folders are laid out as MLflow does."""

import json
import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
import yaml
from sklearn.ensemble import RandomForestClassifier

from models import registry
from training.__main__ import main
from training.mlflow import logged

RUN, COMMIT = "69ba6ab757f34f6e9fa02b73a561efee", "0123456789abcdef0123456789abcdef01234567"
COLUMNS = [{"type": "double", "name": "age"}, {"type": "long", "name": "rooms"}]
ROWS = np.random.default_rng(0).normal(40, 9, (60, 2)).round(0)


def description(**keys) -> dict:
    example = {"artifact_path": "input_example.json", "pandas_orient": "split", "type": "dataframe"}
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle", "sklearn_version": "1.9.1"}
    known = {
        "flavors": {"python_function": {"model_path": "model.pkl"}, "sklearn": flavor},
        "mlflow_version": "3.17.2",
        "run_id": RUN,
        "saved_input_example_info": example,
        "signature": {"inputs": json.dumps(COLUMNS), "outputs": None},
    }
    return known | keys


@pytest.fixture
def write(tmp_path):
    """Write the folder of a model below the registry's own, and return it."""

    def folder(path: str = "own", **keys) -> Path:
        folder = tmp_path / path
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(RandomForestClassifier(3, random_state=0).fit(ROWS, ROWS[:, 0] > 40), folder / "model.pkl")
        (folder / "MLmodel").write_text(yaml.safe_dump(description(**keys)))
        example = {"columns": ["age", "rooms"], "data": [[40.5, 3], [None, 4]]}
        (folder / "input_example.json").write_text(json.dumps(example))
        return folder

    return folder


@pytest.fixture
def register(tmp_path):
    return lambda path, *words: main(
        ["register", str(path), *map(str, words), "--models-dir", str(tmp_path / "models")]
    )


def published(tmp_path: Path) -> registry.Manifest:
    return registry.verify(tmp_path / "models/own_v1.joblib")


def test_the_folder_of_a_model_brings_signature_example_and_run(tmp_path, write, register):
    assert register(write(), "--version-id", "own_v1") == 0
    manifest = published(tmp_path)
    assert manifest.data == {"source": "MLflow", "run_id": RUN, "mlflow": "3.17.2"}
    assert manifest.input["features"] == [
        {"name": "age", "kind": "float", "missing": "optional", "range": [40.5, 40.5]},
        {"name": "rooms", "kind": "int", "missing": "refused", "range": [3, 4]},
    ]


def test_a_sample_replaces_the_input_example(tmp_path, write, register):
    (tmp_path / "rows.csv").write_text("age,rooms\n1.5,1\n90.5,9\n")
    assert register(write(), "--version-id", "own_v1", "--sample", tmp_path / "rows.csv") == 0
    assert published(tmp_path).input["features"][0]["range"] == [1.5, 90.5]


def test_an_array_as_example_and_a_signature_of_tensors_have_no_names(tmp_path, write, register):
    folder = write(
        signature={"inputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}])}
    )
    (folder / "input_example.json").write_text(json.dumps({"inputs": [[1.5, 2.5], [3.5, 4.5]]}))
    assert register(folder, "--version-id", "own_v1") == 0
    assert [(f["name"], f["range"]) for f in published(tmp_path).input["features"]] == [
        ("x0", [1.5, 3.5]),
        ("x1", [2.5, 4.5]),
    ]


@pytest.mark.parametrize("layout", ["2", "3"])
def test_the_folder_of_a_run_brings_its_commit(tmp_path, write, register, layout):
    run = tmp_path / "mlruns/0" / RUN
    (run / "tags").mkdir(parents=True)
    (run / "tags/mlflow.source.git.commit").write_text(COMMIT)
    if layout == "2":
        write(f"mlruns/0/{RUN}/artifacts/model")
    else:
        write("mlruns/0/models/m-1/artifacts")
        (run / "outputs/m-1").mkdir(parents=True)
    assert register(run, "--version-id", "own_v1") == 0
    assert published(tmp_path).data["git_commit"] == COMMIT


def test_the_folder_of_a_run_with_several_models_names_them(write, register, tmp_path, capsys):
    for name in ("one", "two"):
        write(f"{RUN}/artifacts/{name}")
    assert register(tmp_path / RUN, "--version-id", "own_v1") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds 2 models of MLflow" in line and f"{RUN}/artifacts/one'" in line and "Give the folder of one." in line


def test_a_folder_names_no_version(write, register, capsys):
    assert register(write()) == 1
    assert "names no version. Add --version-id NAME_v1." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"flavors": {"spark": {}, "python_function": {}}}, "has MLflow's flavors python_function, spark"),
        ({"flavors": {"sklearn": {"pickled_model": "../secret.pkl"}}}, "'../secret.pkl', which is no file in it"),
        ({"flavors": {"sklearn": {}}}, "'None', which is no file in it"),
        ({"flavors": 3}, "it names no flavors"),
        ({"signature": {"inputs": "{"}}, "The signature in the MLmodel is not read"),
        ({"saved_input_example_info": {"artifact_path": "/etc/passwd"}}, "it lies outside of the folder"),
    ],
)
def test_a_broken_description_is_refused_in_one_line(write, register, capsys, tmp_path, change, rule):
    (tmp_path / "secret.pkl").write_bytes(b"secret")
    assert register(write(**change), "--version-id", "own_v1") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert rule in line


def test_what_is_no_yaml_is_refused_in_one_line(write, register, capsys):
    folder = write()
    (folder / "MLmodel").write_text("flavors: [\n:")
    assert register(folder, "--version-id", "own_v1") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLmodel' cannot be read" in line


def test_yaml_makes_no_objects(tmp_path, write, register):
    folder = write()
    (folder / "MLmodel").write_text(f"flavors: !!python/object/apply:os.mkdir ['{tmp_path}/attacked']\n")
    assert register(folder, "--version-id", "own_v1") == 1
    assert not (tmp_path / "attacked").exists()


def test_a_uri_needs_the_address_of_the_server(register, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert register("models:/own@champion") == 1
    assert "set MLFLOW_TRACKING_URI to its address" in capsys.readouterr().err


def test_a_pickle_of_another_family_needs_trust(write, register, capsys):
    folder = write()
    shutil.copy(folder / "MLmodel", folder / "model.pkl")
    assert register(folder, "--version-id", "own_v1") == 1
    assert "--trust-pickle" in capsys.readouterr().err


def test_other_folders_and_files_are_no_models_of_mlflow(tmp_path):
    (tmp_path / "artifacts").mkdir()
    assert not logged.is_logged(str(tmp_path)) and not logged.is_logged(str(tmp_path / "nothing"))
