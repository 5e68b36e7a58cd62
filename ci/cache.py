"""Build results that outlive a checkout, each in a folder named by the hash of its inputs."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inference-service"

UNUSED_DAYS = 30  # after which a result is removed; several checkouts share the cache, each with results of its own
RESULTS = ["python/*", "tools/*", "debian/*", "check/*", "go-1.*", "uv-*", "checkov-*"]  # below CACHE


def key(*inputs: str | Path) -> str:
    """12 hex digits of the hash of texts and of files' names and contents (for a folder: all its files but tests)."""
    digest = hashlib.sha256()
    for part in inputs:
        if isinstance(part, str):
            digest.update(b"text\0" + part.encode() + b"\0")
            continue
        for file in files(part):
            digest.update(str(file.relative_to(part.parent)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def files(path: Path) -> Iterable[Path]:
    """The files of a folder that its build depends on, sorted."""
    if path.is_file():
        return [path]
    ignored = {"tests", "__pycache__"}
    return sorted(f for f in path.rglob("*") if f.is_file() and not ignored & set(f.relative_to(path).parts))


def unfinished(result: Path) -> Path:
    """An empty folder beside `result`, to be renamed to it when it is complete."""
    folder = result.with_name(result.name + ".unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def use(*results: Path) -> None:
    """Marks results as used now, where they exist."""
    for result in results:
        if result.exists():
            os.utime(result)


def remove_unused(folder: Path) -> None:
    """Removes from the cache `folder` what no checkout has used for UNUSED_DAYS; it is made again when needed."""
    oldest = time.time() - UNUSED_DAYS * 86_400
    for result in (path for pattern in RESULTS for path in folder.glob(pattern)):
        if result.stat().st_mtime < oldest:
            shutil.rmtree(result)
