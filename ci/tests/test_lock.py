"""Commands of several checkouts run one after another."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci import lock
from ci.run import Failed

ROOT = Path(__file__).parents[2]
COMMAND = """
import os, pathlib
from ci import lock, run
with lock.held(pathlib.Path(os.environ["LOCK"])):
    run.run(["sh", "-c", "read line <$FIFO"])
"""


def test_programs_of_a_killed_command_hold_the_lock_until_they_end(tmp_path):
    path, fifo = tmp_path / "lock", tmp_path / "fifo"
    os.mkfifo(fifo)
    variables = {**os.environ, "LOCK": str(path), "FIFO": str(fifo)}
    killed = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=ROOT, env=variables)
    with fifo.open("w"):  # opens when the program has opened its end, and so runs
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the program has read the end of its input and exited


def test_a_symbolic_link_is_refused_and_its_target_keeps_its_content(tmp_path):
    path, victim = tmp_path / "lock", tmp_path / "passwd"
    victim.write_text("root")
    path.symlink_to(victim)
    with pytest.raises(Failed) as failure, lock.held(path):
        pass
    assert victim.read_text() == "root"
    assert failure.value.problem == f"the lock {path} is a symbolic link, which no ci/ command makes"
    assert failure.value.remedy == "See what made it, then remove it."


def test_an_existing_lock_keeps_its_content_and_a_new_one_is_private_to_its_owner(tmp_path):
    path = tmp_path / "lock"
    path.write_text("a file of somebody's")
    with lock.held(path):
        assert path.read_text() == "a file of somebody's"
    path.unlink()
    with lock.held(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_machines_folder_is_one_that_root_alone_may_write_to():
    assert (lock.MACHINE.stat().st_uid, lock.MACHINE.stat().st_mode & 0o022) == (0, 0)
