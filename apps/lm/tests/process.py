"""Starts the service as a user does, and ends it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[3]
SECONDS = 90  # a start, on a machine that does other things as well


class Service:
    """A running `python -m apps.lm`; `lines` are its log lines up to now."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process, self._log = process, log

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]

    def line(self, message: str) -> dict:
        """The log line that says `message`, once it is there."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for line in self.lines:
                if line["message"] == message:
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"no line {message!r}; exit {self.process.poll()}:\n{self._log.read_text()}")

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.line('listening')['port']}", timeout=60, trust_env=False)


def environment(**settings: object) -> dict[str, str]:
    """The test's own environment without what steers the hub, and `settings` in capitals."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "OMP_", "MODEL_"))}
    steady = {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}  # two threads wait for each other on a busy machine
    return plain | steady | {key.upper(): str(value) for key, value in settings.items()}


@contextmanager
def running(log: Path, **settings: object) -> Iterator[Service]:
    """Start the service on a free port; kill it at the end if it has not ended."""
    command = [sys.executable, "-m", "apps.lm", "--port", "0"]
    settings = {"drain_seconds": 0} | settings
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(**settings), stderr=output, stdout=output)
    try:
        yield Service(process, log)
    finally:
        process.kill()
        process.wait()
