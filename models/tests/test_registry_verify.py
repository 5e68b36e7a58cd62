"""Verification: a model is served only if its content, version and digest agree with its manifest."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import publishing, registry
from models.manifest import RegistryError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def forest(tmp_path):
    """A published version in a file."""
    artifact = tmp_path / "mnist_rf_v1.joblib"
    artifact.write_bytes(b"a forest")
    publishing.describe(artifact, engine="sklearn-forest", metrics={"accuracy": 0.5})
    return artifact


@pytest.fixture
def folder(tmp_path):
    """A published version in a folder."""
    artifact = tmp_path / "lm_v1"
    (artifact / "b").mkdir(parents=True)
    for name in ("x", "b-a", "b/y", "B", ".hidden"):
        (artifact / name).write_text(name)
    publishing.describe(artifact, engine="transformers")
    return artifact


def verify(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-S", "-m", "models.registry", "verify", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_command_prints_the_identity_and_needs_only_the_standard_library(forest):
    sha256 = hashlib.sha256(b"a forest").hexdigest()
    result = verify(forest, "--version", "v1", "--sha256", sha256)
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    identity = json.loads(line)
    assert {"name": "mnist_rf", "version": "v1", "sha256": sha256, "size_bytes": 8}.items() <= identity.items()


def test_the_command_does_not_compare_empty_expectations(forest):
    assert verify(forest, "--version", "", "--sha256", "").returncode == 0


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 300_000_000)


SPECIAL = {
    "a pipe": (os.mkfifo, "it is a special file; a plain one is needed"),
    "a device without end": (lambda path: path.symlink_to("/dev/zero"), "it is a special file; a plain one is needed"),
    "300 MB": (
        make_large,
        "has 300000000 bytes, and at most 8388608",
    ),
    "a million lists": (lambda path: path.write_text("[" * 1_000_000), "it is not JSON"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_a_file_that_cannot_be_a_manifest_is_refused_at_once(forest, name):
    make, words = SPECIAL[name]
    registry.manifest_path(forest).unlink()
    make(registry.manifest_path(forest))
    result = verify(forest)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert f"{words}" in line and "Write it with" in line


def test_a_manifest_too_large_to_be_read_is_not_written(forest):
    with pytest.raises(RegistryError, match="at most 8388608 are read"):
        publishing.describe(forest, force=True, engine="x", probes=["x" * 9_000_000])
    registry.verify(forest)


def test_the_command_says_in_one_line_what_is_wrong(forest):
    forest.write_bytes(b"a forest, altered")
    result = verify(forest)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"'{forest}' was altered or cut: it has sha256 ")
    assert "17 bytes" in line and line.endswith("Copy it again, or publish the version again.")


def test_folder_digest_is_that_of_its_lines_sorted_by_path(folder):
    names = [".hidden", "B", "b-a", "b/y", "x"]
    lines = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names)
    assert registry.digest(folder) == hashlib.sha256(lines.encode()).hexdigest()
    assert registry.verify(folder).size_bytes == sum(map(len, names))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "b/y").write_text("Y"),
        lambda folder: (folder / "b/y").rename(folder / "b/z"),
        lambda folder: (folder / "more").touch(),
        lambda folder: (folder / ".hidden").unlink(),
    ],
    ids=["altered", "renamed", "added", "removed"],
)
def test_any_change_in_a_folder_is_detected(folder, change):
    registry.verify(folder)
    change(folder)
    with pytest.raises(RegistryError, match="was altered or cut"):
        registry.verify(folder)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("x"), os.mkfifo], ids=["link", "pipe"])
def test_links_and_special_files_in_a_folder_are_refused(folder, make):
    make(folder / "b" / "odd")
    with pytest.raises(RegistryError, match=r"b/odd' is a link or a special file; a model folder holds plain files"):
        registry.verify(folder)


def test_other_version_and_other_sha256_are_reported_together(forest):
    with pytest.raises(RegistryError) as caught:
        registry.verify(forest, version="v2", sha256="0" * 64)
    assert "its version is 'v1' and 'v2' is expected (MODEL_VERSION)" in str(caught.value)
    assert f"and {'0' * 64} is expected (MODEL_SHA256)" in str(caught.value)


def test_missing_artifact_names_what_is_there(forest):
    with pytest.raises(RegistryError, match=r"neither a file nor a folder.*holds mnist_rf_v1"):
        registry.verify(forest.with_name("mnist_rf_v9.joblib"))


def test_missing_manifest_says_how_to_write_it(forest):
    registry.manifest_path(forest).unlink()
    with pytest.raises(RegistryError, match=r"beside it\. Write it with: python -m training register --force"):
        registry.verify(forest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a manifest: it is not JSON"),
        ("[" * 100_000, "is not a manifest: it is not JSON"),
        ("[]", "it is not a JSON object"),
        ('{"name": 1}', "name is not of type str, version is missing, engine is missing, sha256 is missing"),
        ('{"sha256": "abc"}', "sha256 is 'abc' and not 64 hexadecimal digits"),
    ],
)
def test_invalid_manifest_names_every_mistake_in_one_line(forest, text, message):
    registry.manifest_path(forest).write_text(text)
    with pytest.raises(RegistryError) as caught:
        registry.verify(forest)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_keys_of_a_manifest_are_kept(forest):
    path = registry.manifest_path(forest)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"licence": "MIT"}))
    manifest = registry.read(forest)
    assert manifest.extra == {"licence": "MIT"}
    assert json.loads(manifest.to_json())["licence"] == "MIT"


def test_unreadable_file_is_named_and_not_a_crash(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(folder / "x"))

    monkeypatch.setattr("hashlib.file_digest", refuse)
    with pytest.raises(RegistryError, match=r"x' cannot be read .Permission denied.\. Check its permissions"):
        registry.verify(folder)


def test_entries_show_artifacts_without_manifest_and_manifests_without_artifact(forest, folder):
    (forest.parent / "orphan_v3.joblib").touch()
    (forest.parent / "gone_v4.json").write_text("{}")
    (forest.parent / "tests").mkdir()
    (forest.parent / ".staging-1").mkdir()
    entries = {path.name: type(entry).__name__ for path, entry in registry.entries(forest.parent)}
    assert entries == {
        "mnist_rf_v1.joblib": "Manifest",
        "lm_v1": "Manifest",
        "orphan_v3.joblib": "RegistryError",
        "gone_v4": "RegistryError",
    }


@pytest.mark.parametrize(
    ("version_id", "parts"),
    [("mnist_rf_v1", ("mnist_rf", "v1")), ("a_v1_v2", ("a_v1", "v2")), ("smol-135m_v1.2", ("smol-135m", "v1.2"))],
)
def test_version_id_splits_at_its_last_version(version_id, parts):
    assert registry.split_id(version_id) == parts


@pytest.mark.parametrize("version_id", ["mnist", "mnist_1", "_v1", "a_v", "a/b_v1", "a_v1\n", "a_v1_x"])
def test_other_version_ids_are_refused(version_id):
    with pytest.raises(RegistryError, match="is not a name, '_' and a version that begins with 'v'"):
        registry.split_id(version_id)
