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


def test_what_a_killed_command_had_started_keeps_the_lock_until_it_ends(tmp_path):
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
        fcntl.flock(file, fcntl.LOCK_EX)  # the program has read the end of its input, and is gone


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the machine's, such as root's own /run."""
    monkeypatch.setattr(lock, "MACHINE", tmp_path)
    monkeypatch.setattr(lock, "CACHE", tmp_path)
    return tmp_path


def test_a_symbolic_link_is_not_followed_and_what_it_names_keeps_its_text(folder):
    victim = folder / "passwd"
    victim.write_text("root")
    lock.path().symlink_to(victim)
    with pytest.raises(Failed) as failure, lock.held():
        pass
    assert victim.read_text() == "root"
    assert failure.value.what == f"the lock {lock.path()} is a symbolic link, which no ci/ command makes"
    assert failure.value.remedy == "See what made it, then remove it."


def test_a_lock_that_is_there_keeps_its_text_and_a_new_one_is_for_its_owner_alone(folder):
    lock.path().write_text("a file of somebody's")
    with lock.held():
        assert lock.path().read_text() == "a file of somebody's"
    lock.path().unlink()
    with lock.held():
        assert lock.path().stat().st_mode & 0o777 == 0o600


def test_the_machines_folder_is_one_that_root_alone_may_write_to():
    assert (lock.MACHINE.stat().st_uid, lock.MACHINE.stat().st_mode & 0o022) == (0, 0)
