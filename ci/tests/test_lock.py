"""Commands of several checkouts take turns."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = """
from ci import cache, lock, run
lock.MACHINE = cache.CACHE
with lock.held():
    run.run(["sh", "-c", "read line <$FIFO"])
"""


def test_what_a_killed_command_had_started_keeps_the_lock_until_it_ends(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "FIFO": str(fifo)}
    killed = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=ROOT, env=variables)
    with fifo.open("w"):  # opens when the program has opened its end, and so runs
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with (tmp_path / "inference-service/inference-service.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "inference-service/inference-service.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the program has read the end of its input, and is gone
