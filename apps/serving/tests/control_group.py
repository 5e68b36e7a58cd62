"""Limits the memory and CPU of a test's process like a pod's: by a control group, version 1 or 2.

Where no control group can be made (not root, another kernel), a thread watches the process and kills it when it
exceeds its memory.
"""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from apps.serving.machine.cgroups import CGROUPS
from apps.serving.tests.processes import resident_bytes, until

PERIOD = 100_000  # microseconds, the kubelet's
NUMBERS = itertools.count()


class ControlGroup:
    """A new control group without limits. Raises OSError where it cannot be made.

    The limits are written to the files of both versions, as far as they exist.
    """

    def __init__(self, cgroups: Path) -> None:
        name = f"inference-test-{os.getpid()}-{next(NUMBERS)}"
        if (cgroups / "cgroup.controllers").exists():
            (cgroups / "cgroup.subtree_control").write_text("+cpu +memory")
            self._folders = [cgroups / name]
        else:
            self._folders = [cgroups / controller / name for controller in ("memory", "cpu")]
        for folder in self._folders:
            folder.mkdir()

    def limit_cpu(self, cpus: float) -> None:
        """Set the CPU limit, and a share so large that other processes cannot use the group's part."""
        quota = int(cpus * PERIOD)
        self._write({"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": quota, "cpu.max": f"{quota} {PERIOD}"})
        self._write({"cpu.shares": 100_000, "cpu.weight": 10_000})

    def limit_memory(self, memory: int) -> None:
        """Set the memory limit; like a pod, the group has no swap."""
        self._write({"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory})
        self._write({"memory.max": memory, "memory.swap.max": 0})

    def add(self, pid: int) -> None:
        """Move a process into the group."""
        self._write({"cgroup.procs": pid})

    @property
    def pids(self) -> list[int]:
        """The ids of its processes, child processes included."""
        return [int(pid) for pid in (self._folders[0] / "cgroup.procs").read_text().split()]

    @property
    def kills(self) -> int:
        """How many processes were killed because they exceeded the memory."""
        files = [folder / name for folder in self._folders for name in ("memory.oom_control", "memory.events")]
        lines = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
        return int({line[0]: line[1] for line in lines}["oom_kill"])

    def remove(self) -> None:
        """Remove the group once its processes have ended."""
        for folder in self._folders:
            until(partial(_removed, folder))

    def _write(self, values: dict[str, object]) -> None:
        for name, value in values.items():
            for file in (folder / name for folder in self._folders):
                if file.exists():
                    file.write_text(str(value))


class Watch:
    """A stand-in for a control group: reads the memory of its processes a hundred times a second."""

    def __init__(self) -> None:
        self.kills, self._memory, self._removed = 0, 0, threading.Event()
        self.pids: list[int] = []

    def limit_cpu(self, cpus: float) -> None:
        """Do nothing: the CPU cannot be limited from outside."""

    def limit_memory(self, memory: int) -> None:
        """Set the memory limit."""
        self._memory = memory

    def add(self, pid: int) -> None:
        """Watch a process."""
        self.pids.append(pid)
        threading.Thread(target=self._watch, args=[pid], daemon=True).start()

    def remove(self) -> None:
        """Stop watching."""
        self._removed.set()

    def _watch(self, pid: int) -> None:
        with suppress(OSError, KeyError):  # the process has ended
            while not self._removed.wait(0.01):
                if resident_bytes(pid) > self._memory:
                    self.kills += 1
                    os.kill(pid, signal.SIGKILL)


@contextmanager
def control_group(memory: int, cpus: float, cgroups: Path = CGROUPS) -> Iterator[ControlGroup | Watch]:
    """Yield a control group of `memory` bytes and `cpus`, or a Watch where none can be made."""
    group: ControlGroup | Watch
    try:
        group = ControlGroup(cgroups)
    except OSError:
        group = Watch()
    try:
        group.limit_memory(memory)
        group.limit_cpu(cpus)
        yield group
    finally:
        group.remove()


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()
