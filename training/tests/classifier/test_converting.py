"""A model of any family is registered by a command, in the conversion's own environment, and served as it answers."""

import json
import pickle

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.classifier.model import open_classifier
from models import registry
from training.__main__ import main


@pytest.fixture
def cancer(tmp_path):
    """A pipeline on natural values, its CSV and its rows."""
    rows, target = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, np.where(target, "benign", "malignant"))
    joblib.dump(model, tmp_path / "cancer_v1.joblib")
    header = ",".join(f"c{number}" for number in range(30))
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%.17g", delimiter=",", header=header, comments="")
    return model, rows


@pytest.fixture
def register(tmp_path):
    return lambda *words: main(["register", *map(str, words), "--models-dir", str(tmp_path / "models")])


def test_a_file_that_is_not_trusted_is_never_unpickled(tmp_path, register, capsys):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "attacked"), "w"))

    (tmp_path / "attack_v1.pkl").write_bytes(pickle.dumps(Attack()))
    (tmp_path / "rows.csv").write_text("a\n1\n")
    assert register(tmp_path / "attack_v1.pkl", "--sample", tmp_path / "rows.csv") == 1
    assert "runs its file: if you trust it, add --sample rows.csv --trust-pickle" in capsys.readouterr().err
    assert not (tmp_path / "attacked").exists()


def test_a_conversion_needs_rows_to_compare_on(tmp_path, cancer, register, capsys):
    assert register(tmp_path / "cancer_v1.joblib", "--trust-pickle") == 1
    assert "--sample is missing" in capsys.readouterr().err


@pytest.mark.full
def test_a_pipeline_is_registered_and_served_exactly(tmp_path, cancer, register, capsys):
    assert register(tmp_path / "cancer_v1.joblib", "--sample", tmp_path / "rows.csv", "--trust-pickle") == 0
    assert "is unpickled, which runs it" in capsys.readouterr().err
    artifact = tmp_path / "models/cancer_v1.onnx"
    manifest = registry.verify(artifact)
    assert manifest.engine == "onnx" and manifest.hyperparameters["precision"] == "float64"
    assert manifest.metrics["agreement"]["largest_difference"] < 1e-14
    model, rows = cancer
    served = open_classifier(str(artifact))
    assert served.table is not None
    answers = served.predict(served.table.rows([((), row) for row in rows.tolist()]))
    assert [answer["label"] for answer in answers] == model.predict(rows).tolist()
    assert np.allclose([a["probability"] for a in answers], model.predict_proba(rows).max(axis=1), rtol=0, atol=1e-14)


@pytest.mark.full
def test_an_onnx_file_is_registered_by_itself(tmp_path, cancer, register):
    assert register(tmp_path / "cancer_v1.joblib", "--sample", tmp_path / "rows.csv", "--trust-pickle") == 0
    converted = (tmp_path / "models/cancer_v1.onnx").rename(tmp_path / "other_v1.onnx")
    assert register(converted, "--sample", tmp_path / "rows.csv") == 0
    manifest = json.loads((tmp_path / "models/other_v1.json").read_text())
    assert manifest["engine"] == "onnx" and manifest["classes"] == ["benign", "malignant"]
    assert open_classifier(str(tmp_path / "models/other_v1.onnx")).identity.name == "other"
