"""One ci/ command at a time: several checkouts share the machine's cluster and caches."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.cache import CACHE
from ci.run import INHERITED

MACHINE = Path("/run/lock")  # the cluster is the machine's; a cache may be one of several


def path() -> Path:
    folder = MACHINE if sys.platform == "linux" and os.access(MACHINE, os.W_OK) and os.geteuid() == 0 else CACHE
    return folder / "inference-service.lock"


@contextmanager
def held() -> Iterator[None]:
    """Waits for the other command, saying so."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with path().open("w") as file:
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
