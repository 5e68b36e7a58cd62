"""A process that exceeds its memory is killed, and the kill is counted."""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from apps.serving.machine.cgroups import CGROUPS
from apps.serving.tests import control_group
from apps.serving.tests.processes import until

MEGABYTE = 2**20
ALLOCATE = "input(); taken = bytearray(b'1') * {}; print('taken', flush=True); input()"


@pytest.mark.parametrize("cgroups", [CGROUPS, Path("/nowhere")], ids=["group", "watch"])
def test_a_process_is_killed_beyond_the_memory_and_not_below_it(cgroups):
    for size, kills in ((50, 0), (300, 1)):
        with control_group.control_group(100 * MEGABYTE, 1, cgroups) as group, allocating(size * MEGABYTE) as process:
            assert process.stdin and process.stdout
            group.add(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            if kills:
                assert process.wait(10) == -signal.SIGKILL
            else:
                assert process.stdout.readline() == "taken\n"
            until(partial(has_kills, group, kills))
            process.kill()


def allocating(size: int) -> subprocess.Popen[str]:
    """Start a process that allocates `size` bytes when it reads a line."""
    command = [sys.executable, "-c", ALLOCATE.format(size)]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def has_kills(group: control_group.ControlGroup | control_group.Watch, kills: int) -> bool:
    return group.kills == kills
