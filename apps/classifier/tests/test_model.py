"""Only the published model is served, and only if it answers its probes; otherwise one line says why."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.classifier.model import locate, open_classifier
from apps.classifier.tests import forests
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
