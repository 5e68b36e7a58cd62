"""A server as a process tree on one core: how soon it answers, what memory it holds, what CPU it uses."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ci.run import Failed

START_SECONDS = 300  # vLLM compiles for two minutes
PAUSE_SECONDS = 0.005  # between two looks
STOP_SECONDS = 10
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"  # with it every start compiles all that it imports


class Server:
    """A started program and all that it started."""

    def __init__(
        self, command: Sequence[object], core: int | str, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> None:
        self.log, self.begun = log, time.monotonic()
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *map(str, command)],
                cwd=cwd,
                env={key: value for key, value in os.environ.items() if key != UNCOMPILED} | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, answers: Callable[[], bool]) -> float:
        """Return the seconds from the start until `answers()`; raises Failed when it ends or takes too long."""
        while not answers():
            if self.popen.poll() is not None:
                raise Failed(
                    f"it ended with {self.popen.returncode}: {self._last_words()}", f"The whole log: {self.log}"
                )
            if time.monotonic() - self.begun > START_SECONDS:
                raise Failed(f"it did not answer within {START_SECONDS} s: {self._last_words()}")
            time.sleep(PAUSE_SECONDS)
        return time.monotonic() - self.begun

    def cpu_seconds(self) -> float:
        """CPU time of all its processes that live, to the nanosecond (their clocks, as in clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.processes())

    def cpu_share(self, seconds: float) -> float:
        """CPU time of all its processes in the coming `seconds`, as a part of a core."""
        begun, before = time.monotonic(), self.cpu_seconds()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - begun)

    def memory_megabytes(self) -> float:
        """Resident memory in units of 10^6 bytes; what processes share is counted once (PSS)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes())
        kibibytes = (line.split()[1] for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
        return sum(map(int, kibibytes)) * 1024 / 1e6

    def stop(self) -> None:
        """Ask it to end; make it, where it does not."""
        started = set(self.processes())
        if self.popen.poll() is None:
            self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_SECONDS)
        while left := (started & {pid for pid, *_ in _processes()}) | set(self.processes()):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.poll()
            time.sleep(PAUSE_SECONDS)
        self.popen.wait()

    def processes(self) -> list[int]:
        """The ids of those that live: all below the first, and what is left of its session."""
        alive, found = list(_processes()), {self.popen.pid}
        while more := {pid for pid, parent, session in alive if found & {parent, session}} - found:
            found |= more
        return sorted(found & {pid for pid, *_ in alive})

    def _last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace").split())[-200:]


@contextmanager
def serving(
    command: Sequence[object], *, core: int | str, log: Path, cwd: Path, env: Mapping[str, str]
) -> Iterator[Server]:
    """Start a server, and leave nothing of it behind."""
    server = Server(command, core, log, cwd, env)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def cores() -> Iterator[int]:
    """Give the core for servers; this process keeps to the others meanwhile. Raises Failed where there is only one."""
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
    """CPU time that a core has spent on anyone since the machine started, to the tick."""
    (line,) = [line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} ")]
    user, nice, system, _idle, _wait, *others = map(int, line.split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def _processes() -> Iterator[tuple[int, int, int]]:
    """Id, parent and session of every process that is no zombie."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            yield int(stat.parent.name), int(parent), int(session)
