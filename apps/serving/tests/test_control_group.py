"""The instrument itself: what takes more memory than a pod has is killed, and that is told."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apps.serving.tests import control_group
from apps.serving.tests.processes import until

MEGABYTE = 2**20
TAKER = "input(); taken = bytearray(b'1') * {}; print('taken', flush=True); input()"


@pytest.mark.parametrize("here", [True, False], ids=["group", "watch"])
def test_a_process_is_killed_beyond_the_memory_and_not_below_it(here, monkeypatch):
    if not here:
        monkeypatch.setattr(control_group, "CGROUPS", Path("/nowhere"))
    for taken, kills in ((50, 0), (300, 1)):
        with control_group.control_group(100 * MEGABYTE, 1) as group, taker(taken * MEGABYTE) as process:
            group.add(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            if kills:
                assert process.wait(10) == -signal.SIGKILL
            else:
                assert process.stdout.readline() == "taken\n"
            until(lambda group=group, kills=kills: group.kills == kills)
            process.kill()


def taker(size: int) -> subprocess.Popen:
    """A process that takes `size` bytes when it is told to."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", TAKER.format(size)], text=True, **pipes)
