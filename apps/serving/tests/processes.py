"""Runs a service as a process of its own and reads its log."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class Process:
    """`python -m MODULE` on a free port of 127.0.0.1, with `environment` as its settings."""

    def __init__(
        self, module: str, *arguments: str, python: str | Path = sys.executable, **environment: object
    ) -> None:
        settings = {key: str(value) for key, value in environment.items()}
        self.popen = subprocess.Popen(
            [python, "-m", module, "--port", "0", *arguments],
            cwd=ROOT,
            env={**_inherited(), **settings},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stderr is not None
        self._stderr = self.popen.stderr
        self.output: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> list[dict]:
        """The JSON log lines so far."""
        return [json.loads(line) for line in list(self.output) if line.startswith("{")]

    @property
    def port(self) -> int:
        """The port on which it listens; waits for it."""
        return self.expect("listening")["port"]

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"http://127.0.0.1:{self.port}"

    def expect(self, message: str, seconds: float = 30) -> dict:
        """Return the first log line with `message`; wait for it at most `seconds`."""
        lines: list[dict] = []

        def logged_or_ended() -> bool:
            lines.extend(line for line in self.log if line["message"] == message)
            return bool(lines) or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(logged_or_ended, seconds)
        assert lines, f"no log line {message!r} within {seconds} s; there are:\n{''.join(self.output)}"
        return lines[0]

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Wait until it has ended; return the exit status."""
        status = self.popen.wait(seconds)
        self._reader.join(seconds)
        return status

    def cpu_seconds(self) -> float:
        """Return the CPU time of its threads so far, with the resolution of a nanosecond (Linux)."""
        threads = Path(f"/proc/{self.popen.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def _read(self) -> None:
        for line in self._stderr:
            with self._news:
                self.output.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def close(self) -> None:
        """Kill it, wait until it has ended, and close its pipe."""
        self.popen.kill()
        self.wait()
        self._stderr.close()


@contextmanager
def running(module: str, *arguments: str, ready: bool = True, **environment: Any) -> Iterator[Process]:
    """Start a process and wait until it is ready (if `ready`); kill it at the end."""
    process = Process(module, *arguments, **environment)
    try:
        if ready:
            process.expect("ready")
        yield process
    finally:
        process.close()


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Poll `condition` until it is true, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.01)


def resident_bytes(pid: int | str = "self", peak: bool = False) -> int:
    """Return the resident memory of a process (Linux): now, or its peak so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM" if peak else "VmRSS"].split()[0]) * 1024


def _inherited() -> dict[str, str]:
    settings: tuple[str, ...] = (
        "MODEL_",
        "MAX_",
        "ARTIFICIAL_",
        "DRAIN_",
        "REQUEST_",
        "KEEP_",
        "CONNECTION_",
        "CORS_",
        "ALLOWED_",
    )
    settings += ("LOG_LEVEL", "HOST", "PORT")
    return {key: value for key, value in os.environ.items() if not key.startswith(settings)}
