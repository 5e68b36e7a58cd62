"""A server to measure: how to start it, and the figures that all servers have."""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.benchmarks.environments import Environment
from ci.benchmarks.process import Server
from ci.benchmarks.report import Measure
from ci.cache import CACHE, CHECKOUT
from ci.run import Failed

PEERS = Path(__file__).parent / "peers"
SETTLE_SECONDS, IDLE_SECONDS = 2.0, 5.0
# Measures of every server; the keys are those of `Contender.resting_figures`, and the start to the first response.
MEASURES = (
    Measure("memory_megabytes", "memory after load (PSS)", "MB"),
    Measure("cold_start_seconds", "start to first answer", "s"),
    Measure("environment_megabytes", "virtual environment", "MB"),
    Measure("idle_cpu_percent", "idle CPU", "% of a core"),
)


@dataclass(frozen=True, kw_only=True)
class Contender(ABC):
    """How to start a server, and whether it responds.

    The first word of `command` is a program of the environment. `{port}` in the other words and in `settings` (the
    environment variables) stands for the port.
    """

    name: str
    environment: Environment
    command: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = CHECKOUT

    @abstractmethod
    def responds(self, port: int) -> bool:
        """Whether the server on this port answers a request correctly now."""

    def start(self, port: int, cores: Iterable[int]) -> Server:
        """Start the server, pinned to `cores`; the Server is a context manager that stops it."""
        program, *words = (word.format(port=port) for word in self.command)
        settings = {key: value.format(port=port) for key, value in self.settings.items()}
        command = [self.environment.folder / "bin" / program, *words]
        log = CACHE / "benchmarks" / f"{self.environment.name}-server.log"
        return Server(command, cores=cores, log=log, cwd=self.cwd, env=settings)

    def resting_figures(self, server: Server) -> dict[str, float]:
        """Return memory, size of the environment and CPU of a server that gets no requests."""
        memory = server.memory_megabytes()
        time.sleep(SETTLE_SECONDS)
        return {
            "memory_megabytes": memory,
            "environment_megabytes": self.environment.megabytes(),
            "idle_cpu_percent": 100 * server.cpu_share(IDLE_SECONDS),
        }


def trained_model(name: str, command: str) -> Path:
    """Return the path of a model in models/. Raises Failed, naming the command that trains it, if there is none."""
    if not (path := CHECKOUT / "models" / name).exists():
        raise Failed(f"{path} does not exist", f"Train it: ci/up does, or {command} (see README).")
    return path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no program listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
