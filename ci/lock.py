"""Runs one ci/ command at a time, because several checkouts share the machine's cluster and caches."""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.cache import CACHE
from ci.run import INHERITED, Failed

# A machine has one cluster, but may have several caches. Only root may write to /run, unlike /run/lock.
MACHINE = Path("/run")


def path() -> Path:
    folder = MACHINE if sys.platform == "linux" and os.access(MACHINE, os.W_OK) and os.geteuid() == 0 else CACHE
    return folder / "inference-service.lock"


@contextmanager
def held(lock: Path | None = None) -> Iterator[None]:
    """Holds the file `lock` (default: `path()`); while another command holds it, prints a line and waits."""
    lock = lock or path()
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "rb", opener=_opener) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another ci/up, ci/down or ci/test runs on this machine: waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        inherited = INHERITED.set((file.fileno(),))
        try:
            yield
        finally:
            INHERITED.reset(inherited)


def _opener(name: str, flags: int) -> int:
    """Opens the lock without following a symbolic link, and keeps its content."""
    try:
        return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        problem = f"the lock {name} is a symbolic link, which no ci/ command makes"
        raise Failed(problem, "See what made it, then remove it.") from error
