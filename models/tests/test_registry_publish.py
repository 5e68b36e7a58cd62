"""A version is published completely or not at all, and never replaced by accident."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models import publishing, registry
from models.manifest import Manifest, RegistryError

ROOT = Path(__file__).parents[2]
# Publishes sys.argv[1] repeatedly, each time in a process that dies one step later, as if by `kill -9`.
# Prints for each crash whether the version is absent, has no manifest, or verifies, and then with which text.
CRASHER = """
import itertools, json, os, shutil, sys
from pathlib import Path
from models import publishing, registry
STEPS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree")
artifact, replace = Path(sys.argv[1]), sys.argv[2] == "replace"
def publish(text, steps=0):
    with publishing.staging(artifact.parent) as folder:
        staged = folder / "new"
        if artifact.suffix != ".joblib":
            staged.mkdir()
            (staged / "second").write_text(text)
        (staged if artifact.suffix == ".joblib" else staged / "first").write_text(text)
        left = itertools.count(steps, -1)
        if steps:
            sys.addaudithook(lambda event, _: event in STEPS and next(left) == 1 and os._exit(9))
        publishing.publish(staged, artifact, force=True, engine="none")
def state():
    if not registry.manifest_path(artifact).exists():
        return "no manifest" if artifact.exists() else "absent"
    registry.verify(artifact)
    return (artifact / "first" if artifact.is_dir() else artifact).read_text()
outcomes = []
for steps in itertools.count(1):
    shutil.rmtree(artifact.parent, ignore_errors=True)
    if replace:
        publish("one")
    child = os.fork()
    if child == 0:
        publish("two", steps)
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    outcomes.append(state())
    publish("three", 0)
    registry.verify(artifact)
    if not died:
        break
print(json.dumps(outcomes))
"""


def publish(artifact: Path, text: str, **options) -> Manifest:
    with publishing.staging(artifact.parent) as folder:
        staged = folder / "new"
        if artifact.suffix == ".joblib":
            staged.write_text(text)
        else:
            staged.mkdir()
            (staged / "first").write_text(text)
            (staged / "second").write_text(text)
        return publishing.publish(staged, artifact, engine="none", **options)


def outcomes(artifact: Path, mode: str) -> list[str]:
    """Return the states that crashes at successive steps leave, in order and without repetition."""
    command = [sys.executable, "-S", "-c", CRASHER, str(artifact), mode]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [state for state, _ in itertools.groupby(json.loads(result.stdout))]


@pytest.fixture(params=["mnist_rf_v1.joblib", "lm_v1"])
def artifact(request, tmp_path):
    return tmp_path / "models" / request.param


def test_published_version_verifies_and_leaves_nothing_else(artifact):
    manifest = publish(artifact, "one", metrics={"accuracy": 1.0})
    assert registry.verify(artifact, version="v1") == manifest
    assert manifest.metrics == {"accuracy": 1.0}
    assert {path.name for path in artifact.parent.iterdir()} == {artifact.name, registry.manifest_path(artifact).name}


def test_existing_version_is_kept_without_force_and_replaced_with_it(artifact):
    before = publish(artifact, "one")
    with pytest.raises(RegistryError, match=r"a version is never overwritten\. Choose another version id, or replace"):
        publish(artifact, "two")
    assert registry.verify(artifact) == before
    after = publish(artifact, "two", force=True)
    assert registry.verify(artifact) == after != before
    assert len(list(artifact.parent.iterdir())) == 2


@pytest.mark.slow
def test_crash_at_any_step_of_a_new_version_leaves_none_or_all_of_it(artifact):
    assert outcomes(artifact, "new") == ["absent", "no manifest", "two"]


@pytest.mark.slow
def test_crash_at_any_step_of_a_replacement_leaves_no_manifest_for_other_content(artifact):
    states = outcomes(artifact, "replace")
    assert (states[0], states[-1]) == ("one", "two")
    assert set(states[1:-1]) <= {"absent", "no manifest"}


def test_published_files_are_readable_by_the_user_of_a_pod(artifact):
    umask = os.umask(0o077)
    try:
        publish(artifact, "one")
    finally:
        os.umask(umask)
    paths = [artifact.parent, *artifact.parent.rglob("*")]
    assert {path.name: oct(path.stat().st_mode & 0o005) for path in paths} == {
        path.name: "0o5" if path.is_dir() else "0o4" for path in paths
    }


def test_a_version_is_not_both_a_file_and_a_folder(tmp_path):
    publish(tmp_path / "a_v1", "one")
    with pytest.raises(RegistryError, match="a_v1' exists; a version is a file or a folder"):
        publish(tmp_path / "a_v1.joblib", "two", force=True)


def test_describe_writes_a_manifest_in_place_and_replaces_it_only_with_force(artifact):
    publish(artifact, "one")
    registry.manifest_path(artifact).unlink()
    publishing.describe(artifact, engine="one")
    with pytest.raises(RegistryError, match="Replace it with --force"):
        publishing.describe(artifact, engine="two")
    publishing.describe(artifact, engine="two", force=True)
    assert registry.verify(artifact).engine == "two"


def test_staging_removes_the_folder_of_a_crash_a_day_ago(tmp_path):
    old, recent = tmp_path / ".staging-old", tmp_path / ".staging-recent"
    old.mkdir(), recent.mkdir()
    os.utime(old, (time.time() - 90_000,) * 2)
    with publishing.staging(tmp_path) as folder:
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [".staging-recent"]
