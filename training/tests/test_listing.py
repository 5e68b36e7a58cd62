"""`list` and `verify` report on each artifact, and need nothing but the standard library."""

import subprocess
import sys
from pathlib import Path

import pytest

from models import publishing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def models_dir(tmp_path):
    """A registry with a forest and a folder."""
    (tmp_path / "mnist_rf_v1.joblib").write_bytes(b"x" * 2_500_000)
    publishing.describe(tmp_path / "mnist_rf_v1.joblib", engine="sklearn-forest", metrics={"accuracy": 0.9454})
    (tmp_path / "lm_v1").mkdir()
    (tmp_path / "lm_v1" / "config.json").write_text("{}")
    publishing.describe(tmp_path / "lm_v1", engine="transformers")
    return tmp_path


def training(command: str, models_dir: Path) -> subprocess.CompletedProcess:
    arguments = [sys.executable, "-S", "-m", "training", command, "--models-dir", str(models_dir)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)


def test_list_shows_a_row_per_version_with_the_standard_library_alone(models_dir):
    result = training("list", models_dir)
    assert result.returncode == 0, result.stderr
    header, lm, forest = result.stdout.splitlines()
    assert header.split() == ["VERSION", "ID", "ENGINE", "MB", "CREATED", "ACCURACY", "SHA256"]
    assert forest.split()[:3] == ["mnist_rf_v1", "sklearn-forest", "2.5"] and forest.split()[4] == "0.9454"
    assert lm.split()[:3] == ["lm_v1", "transformers", "0.0"] and lm.split()[4] == "-"
    assert header.index("SHA256") == len(lm) - 12 == len(forest) - 12


def test_list_shows_an_artifact_without_manifest_with_the_reason(models_dir):
    (models_dir / "lm_v1.json").unlink()
    assert f"'{models_dir}/lm_v1.json' does not exist" in training("list", models_dir).stdout


def test_verify_succeeds_if_every_artifact_matches_its_manifest(models_dir):
    result = training("verify", models_dir)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, f"all good in '{models_dir}'")


def test_verify_names_every_bad_version_and_fails(models_dir):
    (models_dir / "lm_v1" / "config.json").write_text("[]")
    (models_dir / "gone_v1.json").write_text("{}")
    result = training("verify", models_dir)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, "bad: gone_v1, lm_v1")
    assert f"good  {models_dir}/mnist_rf_v1.joblib" in result.stdout


def test_missing_folder_is_an_error_and_not_an_empty_registry(tmp_path):
    result = training("verify", tmp_path / "nowhere")
    assert (result.returncode, result.stderr) == (
        1,
        f"'{tmp_path}/nowhere' is not a folder. Give the registry's folder with --models-dir.\n",
    )
