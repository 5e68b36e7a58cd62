"""Files that `--output` and `--report` write: the old one stays until the new one is whole."""

import contextlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

STANDARD = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTOR = re.compile(r"-|/dev/stdout|/dev/stderr|/(?:dev|proc/self)/fd/(\d+)")
NAME_LENGTH = 50  # of a file's name within that of a temporary one, which may have 255 bytes


def write(flag: str, path: str, content: Callable[[BinaryIO], object]) -> bool:
    """Write a flag's file; return whether that was possible, and print why not."""
    try:
        with opened(path) as file:
            content(file)
            file.flush()
    except OSError as error:
        return report_failure(flag, path, error)
    return True


def report_failure(flag: str, path: str, error: OSError) -> Literal[False]:
    """Print why a flag's file could not be written."""
    print(f"--{flag} {path} could not be written: {error.strerror}.", file=sys.stderr)
    return False


def write_text(flag: str, path: str, text: str) -> bool:
    """Write a flag's file in UTF-8, half surrogate pairs replaced; see `write`."""
    return write(flag, path, lambda file: file.write(text.encode("utf-8", "replace")))


def mistakes(path: str) -> list[str]:
    """Return why `path` cannot be written, in words; nothing is changed."""
    try:
        if (number := _descriptor(path)) is not None:
            os.fstat(number)
            return []
        return _mistakes(Path(os.path.realpath(path)))
    except OSError as error:
        return [f"cannot be written: {error.strerror}; name another file."]


def same(path: str, other: str) -> bool:
    """Whether both are one file, in which two contents would be mixed up."""
    if (number := _descriptor(path)) is not None:
        return number == _descriptor(other)
    return os.path.realpath(path) == os.path.realpath(other) and not _through(path)


def is_replaced(path: str) -> bool:
    """Whether `opened` replaces a regular file, so that nothing of an attempt that failed stays."""
    return _descriptor(path) is None and not _through(path)


def is_standard_output(path: str | None) -> bool:
    return path is not None and _descriptor(path) == 1


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing. Raises OSError.

    "-" is standard output; links are followed; a regular file is replaced when it has been written whole, anything else
    (device, FIFO) is written through.
    """
    if (number := _descriptor(path)) is not None:
        # Opened anew, a file that the shell has redirected to would be written from its start.
        sys.stdout.flush()
        with open(os.dup(number), "wb") as file:
            yield file
    elif _through(path):
        with open(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            yield file
    else:
        with _replaced(Path(os.path.realpath(path))) as file:
            yield file


def _descriptor(path: str) -> int | None:
    """Return the number of the open file that a path stands for."""
    match = DESCRIPTOR.fullmatch(path if path == "-" else os.path.abspath(path))
    return match and (STANDARD.get(match[0]) or int(match[1]))


def _mistakes(path: Path) -> list[str]:
    if path.is_symlink():
        return ["is a link to itself; name a file."]
    if path.is_dir():
        return ["is a folder; name a file."]
    if path.exists() and not os.access(path, os.W_OK):
        return ["is not writable; name another file."]
    if not path.parent.is_dir() and not path.exists():
        return [f"there is no folder {path.parent}; create it first."]
    if not path.exists() and not os.access(path.parent, os.W_OK):
        return [f"the folder {path.parent} is not writable; name another."]
    return []


def _through(path: str) -> bool:
    """Whether to write into what is there: a device, a FIFO, a socket."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Replace a regular file when the new one is complete; keep its permissions."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    number, unfinished = tempfile.mkstemp(prefix=f".{path.name[:NAME_LENGTH]}.", dir=path.parent)
    try:
        with open(number, "wb") as file:
            os.fchmod(number, mode)
            yield file
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
