"""One ci/ command at a time: several checkouts share the machine's cluster and caches."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ci.cache import CACHE
from ci.run import INHERITED

HELD = "INFERENCE_SERVICE_LOCK"  # tells a command that ci/test starts that the lock is its parent's


@contextmanager
def held() -> Iterator[None]:
    """Waits for the other command, saying so."""
    if HELD in os.environ:
        yield
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another ci/up, ci/down or ci/test runs on this machine: waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        os.environ[HELD] = "1"
        inherited = INHERITED.set((file.fileno(),))
        try:
            yield
        finally:
            INHERITED.reset(inherited)
            del os.environ[HELD]
