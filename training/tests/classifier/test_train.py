"""A trained version is what its manifest says: split, metrics and probes can be reproduced from it exactly."""

import json

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from apps.classifier.forest import Forest
from models import registry
from training import options
from training.__main__ import main
from training.classifier.train import Options, grow

SMALL = ["--n-estimators", "7", "--max-depth", "6", "--seed", "3", "--n-jobs", "1"]


@pytest.fixture
def train(tmp_path, data_dir):
    """Run the command on small digits; return its exit status."""

    def run(*arguments: str) -> int:
        folders = ["--data-dir", str(data_dir), "--models-dir", str(tmp_path / "models")]
        return main(["classifier", "--version-id", "digits_v1", *folders, *SMALL, *arguments])

    return run


@pytest.fixture
def artifact(tmp_path):
    return tmp_path / "models" / "digits_v1.joblib"


def test_published_version_verifies_and_names_its_data_settings_and_libraries(train, artifact, digits):
    assert train() == 0
    manifest = registry.verify(artifact, version="v1")
    assert (manifest.name, manifest.engine) == ("digits", "sklearn-forest")
    assert manifest.input == {"kind": "pixels", "shape": [64], "dtype": "float32", "range": [0, 1]}
    assert manifest.classes == [str(digit) for digit in range(10)]
    settings = manifest.hyperparameters
    assert (settings["n_estimators"], settings["max_depth"], settings["random_state"]) == (7, 6, 3)
    assert (manifest.data["name"], manifest.data["images"]) == ("small-digits", 1797)
    assert {"python", "scikit-learn", "numpy", "joblib"} == set(manifest.libraries)


def test_held_out_rows_and_metrics_can_be_reproduced_from_the_manifest(train, artifact, digits):
    assert train("--train-ratio", "0.7") == 0
    manifest = registry.read(artifact)
    split = manifest.data["split"]
    _, held_out = train_test_split(
        np.arange(len(digits[1])),
        train_size=split["train_ratio"],
        random_state=split["seed"],
        stratify=digits[1] if split["stratify"] else None,
    )
    assert (split["train"], split["test"]) == (1257, 540) == (1797 - len(held_out), len(held_out))
    forest, labels = joblib.load(artifact), digits[1][held_out]
    predicted = forest.predict(digits[0][held_out].astype(np.float32) / 255)
    assert manifest.metrics["accuracy"] == np.mean(predicted == labels) > 0.85
    four = manifest.metrics["per_class"]["4"]
    assert four["recall"] == np.mean(predicted[labels == 4] == 4)
    assert four["precision"] == np.mean(labels[predicted == 4] == 4)
    assert four["support"] == np.sum(labels == 4)
    counted = [[np.sum((labels == true) & (predicted == label)) for label in range(10)] for true in range(10)]
    assert manifest.metrics["confusion"] == counted != np.transpose(counted).tolist()


def test_held_out_rows_are_not_trained_on(train, artifact, digits):
    assert train("--max-depth", "none", "--train-ratio", "0.5") == 0
    forest = joblib.load(artifact)
    trained, held_out = train_test_split(np.arange(1797), train_size=0.5, random_state=3, stratify=digits[1])
    accuracy = [forest.score(digits[0][rows].astype(np.float32) / 255, digits[1][rows]) for rows in (trained, held_out)]
    assert accuracy[0] > 0.99 > accuracy[1] == registry.read(artifact).metrics["accuracy"]


def test_probes_are_one_request_per_class_with_scikit_learns_exact_answer(train, artifact):
    assert train() == 0
    manifest, forest = registry.read(artifact), joblib.load(artifact)
    assert len(manifest.probes) == 10
    for probe in manifest.probes:
        row = np.array([probe["features"]], np.float32) / probe["scale"]
        assert forest.predict_proba(row)[0].tolist() == probe["probabilities"]
        assert str(forest.predict(row)[0]) == probe["label"]


def test_artifact_does_not_depend_on_the_number_of_jobs(train, artifact):
    assert train("--n-jobs", "2") == 0
    forest = joblib.load(artifact)
    assert (forest.n_jobs, forest.warm_start) == (None, False)


def test_trees_grown_in_portions_equal_those_of_one_fit(digits):
    arguments = vars(options.parse(["classifier", "--version-id", "a_v1", *SMALL, "--n-estimators", "23"]))
    del arguments["command"]
    pixels = digits[0].astype(np.float32) / 255
    grown = grow(Options(**arguments), pixels, digits[1])
    fitted = RandomForestClassifier(23, max_depth=6, random_state=3).fit(pixels, digits[1])
    assert np.array_equal(grown.predict_proba(pixels), fitted.predict_proba(pixels))


def test_existing_version_is_refused_before_any_training(train, artifact, capsys):
    assert train() == 0
    before = artifact.read_bytes()
    capsys.readouterr()
    assert train("--seed", "4") == 1
    text = capsys.readouterr().err
    assert "a version is never overwritten" in text and "trees" not in text
    assert artifact.read_bytes() == before
    assert train("--seed", "4", "--force") == 0
    assert registry.verify(artifact).data["seed"] == 4


def test_forest_that_the_services_evaluate_differently_is_not_published(train, artifact, monkeypatch, capsys):
    exact = Forest.evaluate
    monkeypatch.setattr(Forest, "evaluate", lambda forest, rows: np.nextafter(exact(forest, rows), 2))
    assert train() == 1
    assert "The services' probabilities differ from scikit-learn's for 360 of 360 rows" in capsys.readouterr().err
    assert list(artifact.parent.iterdir()) == []


def test_ratio_that_leaves_a_digit_out_is_refused_with_the_remedy(train, capsys):
    assert train("--train-ratio", "0.999") == 1
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith("1797 images cannot be split by --train-ratio 0.999: ")
    assert text.endswith("Choose another ratio, or give more images of each label.")


def test_interrupted_training_leaves_nothing(train, artifact, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("models.publishing._place", interrupt)
    assert train() == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Stopped. Nothing was published."
    assert list(artifact.parent.iterdir()) == []


def test_progress_shows_steps_with_elapsed_time(train, capsys):
    assert train() == 0
    text = capsys.readouterr().err
    assert "] 7 of 7 trees" in text and "] training 7 trees of depth 6 on 1437 images: done in " in text


def test_manifest_has_a_line_per_key_and_only_valid_json_numbers(train, artifact):
    assert train() == 0
    text = registry.manifest_path(artifact).read_text()
    assert len(text.splitlines()) == 2 + len(json.loads(text))
    assert "NaN" not in text and "Infinity" not in text
