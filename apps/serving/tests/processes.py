"""Runs a service as its users do, as a process of its own, and reads its log as they would."""

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

ROOT = Path(__file__).parents[3]


class Process:
    """`python -m MODULE` on a free port of 127.0.0.1, with the environment given; `python` is ours unless told."""

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
        self.output: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> list[dict]:
        """The JSON lines so far."""
        return [json.loads(line) for line in list(self.output) if line.startswith("{")]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.expect("listening")["port"]

    @property
    def url(self) -> str:
        """The same, as a URL."""
        return f"http://127.0.0.1:{self.port}"

    def expect(self, message: str, seconds: float = 30) -> dict:
        """Return the first log line with `message`; wait for it."""
        found: list[dict] = []

        def there() -> bool:
            found.extend(line for line in self.log if line["message"] == message)
            return bool(found) or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(there, seconds)
        assert found, f"no log line {message!r} within {seconds} s; there are:\n{''.join(self.output)}"
        return found[0]

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end; return the exit status."""
        status = self.popen.wait(seconds)
        self._reader.join(seconds)
        return status

    def cpu_seconds(self) -> float:
        """CPU time that its threads have used so far, to the nanosecond (Linux)."""
        threads = Path(f"/proc/{self.popen.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def _read(self) -> None:
        for line in self.popen.stderr:
            with self._news:
                self.output.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


@contextmanager
def running(module: str, *arguments: str, ready: bool = True, **environment: object) -> Iterator[Process]:
    """Start a process, wait until it is ready (if `ready`), and leave nothing of it behind."""
    process = Process(module, *arguments, **environment)
    try:
        if ready:
            process.expect("ready")
        yield process
    finally:
        process.popen.kill()
        process.wait()
        process.popen.stderr.close()


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.01)


def resident_bytes(pid: int | str = "self", peak: bool = False) -> int:
    """What a process has in memory (Linux), now or at most so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM" if peak else "VmRSS"].split()[0]) * 1024


def _inherited() -> dict[str, str]:
    ours = ("MODEL_", "MAX_", "ARTIFICIAL_", "DRAIN_", "REQUEST_", "KEEP_", "CONNECTION_", "CORS_", "ALLOWED_")
    ours += ("LOG_LEVEL", "HOST", "PORT")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}
