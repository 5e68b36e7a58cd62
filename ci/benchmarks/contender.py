"""One contender, measured from its first start to idleness; the same for every kind of service."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ci.benchmarks import load
from ci.benchmarks.environments import Environment
from ci.benchmarks.load import Measured, Request, Target
from ci.benchmarks.process import Server, core_seconds, serving
from ci.benchmarks.report import Row
from ci.cache import CACHE, CHECKOUT

STARTS = 3
SETTLE_SECONDS, IDLE_SECONDS = 2.0, 5.0


@dataclass(frozen=True)
class Contender:
    """A server: how it is started, and the requests that it is sent in turn.

    The first word of `command` is a program of the environment; `{port}` in the others and in `settings` (the
    environment variables) becomes the port.
    """

    name: str
    environment: Environment
    command: Sequence[str]
    requests: Sequence[Request]
    settings: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = CHECKOUT

    @property
    def log(self) -> Path:
        return CACHE / "benchmarks" / f"{self.environment.name}-server.log"

    def started(self, port: int, core: int | str) -> AbstractContextManager[Server]:
        """Start it, pinned to `core`, or to a list of cores as taskset reads it."""
        program, *words = (word.format(port=port) for word in self.command)
        settings = {key: value.format(port=port) for key, value in self.settings.items()}
        command = [self.environment.folder / "bin" / program, *words]
        return serving(command, core=core, log=self.log, cwd=self.cwd, env=settings)


def measure(contender: Contender, core: int, phases: Callable[[Target, Server], tuple[dict, Counter]]) -> Row:
    """Start the contender a few times, then let `phases` load it; return all its figures.

    Adds to those of `phases`: cold_start_seconds (the median), memory_megabytes, environment_megabytes and
    idle_cpu_percent.
    """
    starts = []
    for last in [False] * (STARTS - 1) + [True]:
        port = free_port()
        target = Target(port, contender.requests)
        with contender.started(port, core) as server:
            starts.append(server.wait_for(lambda target=target: load.answers(target)))
            if last:
                begun, before = time.monotonic(), core_seconds(core) - server.cpu_seconds()
                figures, failures = phases(target, server)
                others = (core_seconds(core) - server.cpu_seconds() - before) / (time.monotonic() - begun)
                memory, idle = server.memory_megabytes(), idle_percent(server)
    figures |= {
        "cold_start_seconds": sorted(starts)[STARTS // 2],
        "memory_megabytes": memory,
        "environment_megabytes": contender.environment.megabytes(),
        "idle_cpu_percent": idle,
    }
    return Row(contender.name, contender.environment.versions(), figures, failures, 100 * others)


def closed(target: Target, server: Server, connections: int, seconds: float) -> tuple[Measured, float]:
    """A closed loop, and the CPU seconds that each right answer cost the server."""
    before = server.cpu_seconds()
    measured = asyncio.run(load.closed_loop(target, connections, seconds))
    return measured, (server.cpu_seconds() - before) / max(len(measured.latencies), 1)


def idle_percent(server: Server) -> float:
    """CPU time in percent of a core while nobody asks."""
    time.sleep(SETTLE_SECONDS)
    return 100 * server.cpu_share(IDLE_SECONDS)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
