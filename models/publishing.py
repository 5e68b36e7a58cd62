"""Publishes a version completely or not at all: artifact first, manifest last, each by one rename.

A crash at any moment leaves neither a partial artifact nor a manifest without its artifact. It may leave an artifact
without a manifest, which nothing serves, and a `.staging-*` folder, which is removed after a day.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.artifact import SUFFIXES, artifact_id, digest, manifest_path, size_bytes
from models.manifest import Manifest, RegistryError, split_id

STAGING = ".staging-"
DAY_SECONDS = 86_400


@contextmanager
def staging(models_dir: str | Path) -> Iterator[Path]:
    """Yield an empty folder in `models_dir` to write an artifact in; it is removed at the end."""
    models_dir = Path(models_dir)
    models_dir.mkdir(parents=True, exist_ok=True)
    for old in models_dir.glob(STAGING + "*"):
        if time.time() - old.stat().st_mtime > DAY_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=models_dir) as folder:
        yield Path(folder)


def require_free(artifact: str | Path, *, force: bool = False) -> None:
    """Raise RegistryError unless `artifact` may be written: its version is new, or `force` is true."""
    artifact = Path(artifact)
    plain = artifact.parent / artifact_id(artifact)
    split_id(plain.name)
    others = {plain, *(plain.with_name(plain.name + suffix) for suffix in SUFFIXES)} - {artifact}
    if existing := sorted(str(other) for other in others if other.exists()):
        raise RegistryError(
            f"{existing[0]!r} exists; a version is a file or a folder. Remove it or choose another version id."
        )
    taken = [str(path) for path in (artifact, manifest_path(artifact)) if path.exists()]
    if taken and not force:
        raise RegistryError(
            f"{' and '.join(map(repr, taken))} exists; a version is never overwritten. "
            "Choose another version id, or replace it with --force."
        )


def publish(staged: str | Path, artifact: str | Path, *, force: bool = False, **keys: Any) -> Manifest:
    """Move `staged`, a file or folder on the same file system, to `artifact` and write its manifest.

    `keys` are the manifest's other keys (engine, metrics, …). With `force` an existing version is replaced: readers
    see the old one, then none or one without a manifest, then the new one. Raises RegistryError.
    """
    staged, artifact = Path(staged), Path(artifact)
    require_free(artifact, force=force)
    manifest = _manifest(staged, artifact, keys)
    _settle(staged)
    with _locked(artifact.parent):
        require_free(artifact, force=force)
        manifest_path(artifact).unlink(missing_ok=True)
        _place(staged, artifact)
        _write_manifest(artifact, manifest)
    return manifest


def describe(artifact: str | Path, *, force: bool = False, **keys: Any) -> Manifest:
    """Write the manifest of an artifact that is already in place; `force` replaces an existing one."""
    artifact = Path(artifact)
    split_id(artifact_id(artifact))
    manifest = _manifest(artifact, artifact, keys)
    _settle(artifact)
    with _locked(artifact.parent):
        if manifest_path(artifact).exists() and not force:
            raise RegistryError(f"{str(manifest_path(artifact))!r} exists. Replace it with --force.")
        _write_manifest(artifact, manifest)
    return manifest


def _manifest(content: Path, artifact: Path, keys: dict[str, Any]) -> Manifest:
    name, version = split_id(artifact_id(artifact))
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sha256, size = digest(content), size_bytes(content)
    return Manifest(name=name, version=version, sha256=sha256, size_bytes=size, created=created, **keys)


def _settle(path: Path) -> None:
    """Make everything at `path` readable for every user (pods run as uid 10001), and flush it to the disk."""
    for parent, _, names in os.walk(path):
        for name in names:
            _sync(Path(parent, name), 0o644)
        _sync(Path(parent), 0o755)
    if path.is_file():
        _sync(path, 0o644)


def _sync(path: Path, mode: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _allow(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _allow(descriptor: int, mode: int) -> None:
    before = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if before | mode != before:  # only the owner may change it, so not needlessly
        os.fchmod(descriptor, before | mode)


@contextmanager
def _locked(models_dir: Path) -> Iterator[None]:
    """Exclude other publishers; make the folder readable, and flush its renames to the disk."""
    descriptor = os.open(models_dir, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _allow(descriptor, 0o755)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(staged: Path, artifact: Path) -> None:
    if artifact.is_dir():  # a folder cannot be renamed onto another that holds files
        retired = tempfile.mkdtemp(prefix=STAGING, dir=artifact.parent)
        os.rename(artifact, Path(retired, artifact.name))
        os.rename(staged, artifact)
        shutil.rmtree(retired)
    else:
        os.replace(staged, artifact)
    _sync(artifact.parent)


def _write_manifest(artifact: Path, manifest: Manifest) -> None:
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=artifact.parent) as folder:
        draft = Path(folder, "manifest.json")
        draft.write_text(manifest.to_json())
        _sync(draft, 0o644)
        os.replace(draft, manifest_path(artifact))
