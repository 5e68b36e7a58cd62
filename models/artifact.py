"""An artifact on disk, a file or a folder: its names, its size and its sha256."""

import hashlib
import os
import stat
from pathlib import Path

from models.manifest import RegistryError

SUFFIX, ONNX_SUFFIX = ".joblib", ".onnx"
SUFFIXES = (SUFFIX, ONNX_SUFFIX)  # of artifacts that are files


def artifact_id(artifact: str | Path) -> str:
    """Return the last part of the path without its suffix, such as `mnist_rf_v1` for `models/mnist_rf_v1.joblib`."""
    path = Path(artifact)
    return path.stem if path.suffix in SUFFIXES else path.name


def manifest_path(artifact: str | Path) -> Path:
    """Return the path of the manifest of `artifact`: beside it, named `<name>_<version>.json`."""
    return Path(artifact).parent / f"{artifact_id(artifact)}.json"


class UnusualError(ValueError):
    """Why a file is not read: it is special or too large."""


def read_file(path: str | Path, most: int) -> bytes:
    """Return a file's bytes; raise OSError, or UnusualError for a special file and for more than `most` bytes.

    A pipe is refused at once: opening it does not wait for a writer.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnusualError("it is a special file; a plain one is needed")
        if status.st_size > most:
            raise UnusualError(f"it has {status.st_size} bytes, and at most {most} are read")
        return file.read(status.st_size)


def digest(path: str | Path) -> str:
    """Return the sha256 of a file, or of a folder's lines `<sha256>  <relative path>`, sorted by path.

    Each line ends with a newline, and hidden files count too. The same command in the folder:
    `find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`.
    Raises RegistryError for links and special files in a folder, and for unreadable files.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            return _file_digest(path)
        lines = (f"{_file_digest(path / name)}  {name}\n" for name in _names(path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def state(folder: str | Path) -> list[tuple[str, int, int, int]]:
    """Return name, size, time of modification and of change of each file of a folder. Raises as `digest` does.

    Any change of a file changes the result, and no file is read.
    """
    try:
        statuses = [(name, os.lstat(Path(folder, name))) for name in _names(Path(folder))]
    except OSError as error:
        raise _unreadable(folder, error) from error
    # Inodes are left out: not every network file system keeps them. Only the kernel can set the time of change.
    return [(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns) for name, status in statuses]


def size_bytes(path: str | Path) -> int:
    """Return the size of a file, or the sum over a folder's files. Raises as `digest` does."""
    path = Path(path)
    return sum((path / name).stat().st_size for name in _names(path)) if path.is_dir() else path.stat().st_size


def _unreadable(path: str | Path, error: OSError) -> RegistryError:
    name = str(error.filename or path)
    return RegistryError(f"{name!r} cannot be read ({error.strerror}). Check its permissions and the disk.")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> list[str]:
    """Return the POSIX relative paths of all files below `folder`, sorted by their bytes."""
    names = []
    for parent, _, _ in os.walk(folder, onerror=_raise):
        with os.scandir(parent) as entries:
            for entry in entries:
                _refuse_unusual(entry)
                if entry.is_file(follow_symlinks=False):
                    names.append(Path(entry.path).relative_to(folder).as_posix())
    return sorted(names, key=os.fsencode)


def _raise(error: OSError) -> None:
    raise error


def _refuse_unusual(entry: os.DirEntry[str]) -> None:
    usual = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    if not usual or not entry.name.isprintable():
        mistake = "has an unprintable name" if usual else "is a link or a special file"
        raise RegistryError(
            f"{entry.path!r} {mistake}; a model folder holds plain files and folders. "
            "Copy the folder with `cp -rL`, or remove that entry."
        )
