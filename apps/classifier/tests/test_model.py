"""Only the published model is served, and only if it answers its probes; otherwise one line says why."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.classifier.model import locate, open_classifier
from apps.classifier.tests import forests, tables
from apps.serving.identity import LoadError
from models.registry import RegistryError

REFUSED = (LoadError, RegistryError)


@pytest.fixture
def copy(artifact, tmp_path) -> Path:
    """An artifact with its manifest, to be changed."""
    for path in (artifact, artifact.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / artifact.name


def change_manifest(artifact: Path, **changes) -> None:
    path = artifact.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(artifact: Path | str, **expected) -> str:
    with pytest.raises(REFUSED) as error:
        open_classifier(str(artifact), **expected)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_published_model_is_served_under_its_name(artifact):
    classifier = open_classifier(str(artifact), version="v1")
    manifest = json.loads(artifact.with_suffix(".json").read_text())
    assert vars(classifier.identity) == {
        **{key: manifest[key] for key in ("name", "version", "sha256", "engine")},
        "facts": {},
    }


def test_a_path_that_is_wrong_is_named(tmp_path):
    assert "nowhere_v1.joblib" in refusal(tmp_path / "nowhere_v1.joblib")


def test_a_name_that_does_not_exist_is_looked_up_under_models(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert locate("tiny_v1.joblib") == Path("/models/tiny_v1.joblib")
    (tmp_path / "tiny_v1.joblib").touch()
    assert locate("tiny_v1.joblib") == Path("tiny_v1.joblib")


def test_a_truncated_artifact_is_refused_before_it_is_unpickled(copy):
    copy.write_bytes(copy.read_bytes()[:-1000])
    assert "was altered" in refusal(copy)


def test_a_single_changed_byte_is_refused(copy):
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert "was altered" in refusal(copy)


def test_another_version_or_digest_than_the_release_expects_is_refused(copy):
    assert "'v2' is expected (MODEL_VERSION)" in refusal(copy, version="v2")
    assert "(MODEL_SHA256)" in refusal(copy, sha256="0" * 64)


def test_an_artifact_for_another_engine_is_refused(copy):
    change_manifest(copy, engine="transformers")
    assert "'transformers'" in refusal(copy)


def test_a_model_of_another_input_is_refused(copy):
    change_manifest(copy, input={"shape": [100]})
    assert "takes 784 features, and its manifest says [100]" in refusal(copy)


MALFORMED: dict[str, tuple[dict, str]] = {
    "another kind": ({"kind": "text"}, "'text' of 4 features; 'table' of 4 is needed"),
    "no features": ({"features": None}, "features is not an array of objects"),
    "too few features": ({"features": [{"name": "a"}]}, "'table' of 1 features; 'table' of 4 is needed"),
    "a wrong feature": ({"features": [{"name": "a", "kind": "x"}] * 4}, "feature 0: kind must be one of float, int"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_input_of_a_table_is_named(name, tmp_path):
    change, reason = MALFORMED[name]
    artifact = tables.publish_iris(tmp_path)
    known = json.loads(artifact.with_suffix(".json").read_text())["input"]
    change_manifest(artifact, input=known | change)
    assert "is malformed" in refusal(artifact) and reason in refusal(artifact)


def test_a_regressor_that_answers_a_probe_differently_is_refused(tmp_path):
    artifact = tables.publish_diabetes(tmp_path)
    probes = json.loads(artifact.with_suffix(".json").read_text())["probes"]
    probes[1]["value"] += 1e-9
    change_manifest(artifact, probes=probes)
    assert "does not answer probe 1" in refusal(artifact)


def test_a_manifest_from_before_tables_is_of_pixels_only_if_its_model_is(copy, tmp_path):
    assert open_classifier(str(copy)).table is None
    artifact = tables.publish_iris(tmp_path)
    change_manifest(artifact, input={"shape": [4], "dtype": "float32", "range": [0, 1]})
    table = open_classifier(str(artifact)).table
    assert table is not None and [feature.name for feature in table.features] == ["x0", "x1", "x2", "x3"]


def test_a_model_without_probes_is_refused(copy):
    change_manifest(copy, probes=[])
    assert "no probes" in refusal(copy)


@pytest.mark.parametrize("key, value", [("label", "x"), ("probabilities", None)])
def test_a_model_that_answers_a_probe_differently_is_refused(copy, key, value):
    probes = json.loads(copy.with_suffix(".json").read_text())["probes"]
    if key == "probabilities":
        value = [*probes[1][key][:-1], probes[1][key][-1] + 1e-16]
        assert value != probes[1][key]
    probes[1][key] = value
    change_manifest(copy, probes=probes)
    assert "does not answer probe 1" in refusal(copy)


def test_a_malformed_probe_is_named(copy):
    change_manifest(copy, probes=[{"features": [1]}])
    assert "Probe 0" in refusal(copy)


@pytest.mark.slow
def test_the_service_imports_neither_scikit_learn_nor_scipy_nor_pandas_nor_joblib():
    """Imports dominate the start-up time; and a pickle cannot run a class that is not imported."""
    code = "import sys, apps.classifier.service, apps.serving.server; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in modules
    heavy = {"sklearn", "scipy", "pandas", "joblib", "torch", "transformers", "matplotlib"}
    assert heavy.isdisjoint(modules)


def test_labels_that_are_texts_are_served(tmp_path):
    forest = forests.digits_forest(trees=2, depth=2)
    forest.classes_ = forest.classes_.astype(str).astype(object)
    assert open_classifier(str(forests.publish(forest, tmp_path / "texts_v1.joblib"))).forest.classes[3] == "3"
