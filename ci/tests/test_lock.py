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
from ci import cache, lock, run
lock.MACHINE = cache.CACHE
with lock.held():
    run.run(["sh", "-c", "read line <$FIFO"])
"""


def test_programs_of_a_killed_command_hold_the_lock_until_they_end(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "FIFO": str(fifo)}
    killed = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=ROOT, env=variables)
    with fifo.open("w"):  # opens when the program has opened its end, and so runs
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with (tmp_path / "inference-service/inference-service.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "inference-service/inference-service.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the program has read the end of its input and exited


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in place of the machine's /run."""
    monkeypatch.setattr(lock, "MACHINE", tmp_path)
    monkeypatch.setattr(lock, "CACHE", tmp_path)
    return tmp_path


def test_a_symbolic_link_is_refused_and_its_target_keeps_its_content(folder):
    victim = folder / "passwd"
    victim.write_text("root")
    lock.path().symlink_to(victim)
    with pytest.raises(Failed) as failure, lock.held():
        pass
    assert victim.read_text() == "root"
    assert failure.value.problem == f"the lock {lock.path()} is a symbolic link, which no ci/ command makes"
    assert failure.value.remedy == "See what made it, then remove it."


def test_an_existing_lock_keeps_its_content_and_a_new_one_is_private_to_its_owner(folder):
    lock.path().write_text("a file of somebody's")
    with lock.held():
        assert lock.path().read_text() == "a file of somebody's"
    lock.path().unlink()
    with lock.held():
        assert lock.path().stat().st_mode & 0o777 == 0o600


def test_the_machines_folder_is_one_that_root_alone_may_write_to():
    assert (lock.MACHINE.stat().st_uid, lock.MACHINE.stat().st_mode & 0o022) == (0, 0)
