"""A server as a tree of processes on given cores: its start time, memory and CPU time."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from ci.run import Failed

START_SECONDS = 300  # vLLM compiles for two minutes
PAUSE_SECONDS = 0.005  # between two tries
STOP_SECONDS = 10
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"  # would recompile all imported modules at every start


class Server:
    """A started program and its child processes; a context manager that ends all of them."""

    def __init__(
        self, command: Sequence[object], *, cores: Iterable[int], log: Path, cwd: Path, env: Mapping[str, str]
    ) -> None:
        self.log, self.start = log, time.monotonic()
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                ["taskset", "--cpu-list", ",".join(map(str, cores)), *map(str, command)],
                cwd=cwd,
                env={key: value for key, value in os.environ.items() if key != UNCOMPILED} | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, responds: Callable[[], bool]) -> float:
        """Return the seconds from the start until `responds()`. Raises Failed if it ends before, or takes too long."""
        while not responds():
            if self.popen.poll() is not None:
                raise Failed(
                    f"it ended with {self.popen.returncode}: {self._end_of_log()}", f"The whole log: {self.log}"
                )
            if time.monotonic() - self.start > START_SECONDS:
                raise Failed(f"it did not answer within {START_SECONDS} s: {self._end_of_log()}")
            time.sleep(PAUSE_SECONDS)
        return time.monotonic() - self.start

    def cpu_seconds(self) -> float:
        """CPU time of its live processes, in nanosecond resolution (clock ids as in clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.processes())

    def cpu_share(self, seconds: float) -> float:
        """Wait for `seconds`; return the CPU time of its processes meanwhile, as a share of one core."""
        start, before = time.monotonic(), self.cpu_seconds()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - start)

    def memory_megabytes(self) -> float:
        """Resident memory in units of 10^6 bytes; memory that processes share counts once (PSS)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes())
        kibibytes = (line.split()[1] for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
        return sum(map(int, kibibytes)) * 1024 / 1e6

    def stop(self) -> None:
        """Terminate the processes, and after STOP_SECONDS kill those that still run."""
        started = set(self.processes())
        if self.popen.poll() is None:
            self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_SECONDS)
        while remaining := (started & {pid for pid, *_ in _processes()}) | set(self.processes()):
            for pid in remaining:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.poll()
            time.sleep(PAUSE_SECONDS)
        self.popen.wait()

    def processes(self) -> list[int]:
        """Return the ids of its live processes: descendants of the first, and members of its session."""
        alive, descendants = list(_processes()), {self.popen.pid}
        while children := {pid for pid, parent, session in alive if descendants & {parent, session}} - descendants:
            descendants |= children
        return sorted(descendants & {pid for pid, *_ in alive})

    def _end_of_log(self) -> str:
        return " ".join(self.log.read_text(errors="replace").split())[-200:]


@contextmanager
def reserved_core() -> Iterator[int]:
    """Yield a core for the servers and keep this process off it. Raises Failed if there is only one core."""
    available = os.sched_getaffinity(0)
    if len(available) < 2:
        raise Failed("A measurement needs two cores, one for the server and one for the load.")
    server = max(available)
    os.sched_setaffinity(0, available - {server})
    try:
        yield server
    finally:
        os.sched_setaffinity(0, available)


def core_seconds(core: int) -> float:
    """CPU time that a core has spent on all programs since boot, in the resolution of clock ticks."""
    (line,) = [line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} ")]
    user, nice, system, _idle, _wait, *others = map(int, line.split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield id, parent and session of every process that is not a zombie."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            yield int(stat.parent.name), int(parent), int(session)
