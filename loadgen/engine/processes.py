"""The workers of a run as processes, and what they tell."""

import contextlib
import json
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from loadgen.engine.plan import Plan
from loadgen.engine.stop import Stop
from loadgen.engine.worker import Share


class Processes:
    """A context manager: starts a process for each worker of a plan, and leaves none behind."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._shares = shares(plan, folder)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._partial: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        # A session of its own: a terminal's Ctrl-C is for the parent, which tells the workers.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        for share in self._shares:
            self._running[share.number] = subprocess.Popen(
                [sys.executable, "-m", "loadgen.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        for share in self._shares:
            stdin = self._running[share.number].stdin
            assert stdin is not None
            data = pickle.dumps(share)
            stdin.write(len(data).to_bytes(8) + data)
            stdin.flush()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
            self._close(process)

    def __len__(self) -> int:
        """Return the number of those that run."""
        return len(self._running)

    def send(self, line: str) -> None:
        """Send a line to every worker that runs."""
        for process in self._running.values():
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # its end is noticed where its output is read
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()

    def messages(self, stop: Stop) -> Iterator[tuple[int, dict[str, Any]]]:
        """Wait for a message or a request to stop; yield (worker, message) for those that came.

        A worker that has ended yields {"exit": its status, negative for a signal}.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(stop, selectors.EVENT_READ)
            for number, process in self._running.items():
                selector.register(process.stdout, selectors.EVENT_READ, number)  # type: ignore[arg-type]  # a pipe
            ready = [key.data for key, _ in selector.select()]
        for number in ready:
            if number is None:
                stop.clear()
            else:
                yield from self._read(number)

    def _read(self, number: int) -> Iterator[tuple[int, dict[str, Any]]]:
        process = self._running[number]
        assert process.stdout is not None
        data = os.read(process.stdout.fileno(), 65_536)
        *lines, self._partial[number] = (self._partial.get(number, b"") + data).split(b"\n")
        for line in lines:
            yield number, json.loads(line)
        if not data:
            del self._running[number]
            status = process.wait()
            self._close(process)
            yield number, {"exit": status}

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def shares(plan: Plan, folder: Path) -> Sequence[Share]:
    """Divide a plan: arrivals in turn, users and limits as evenly as they go."""
    count = plan.workers
    return [
        Share(
            replace(
                plan,
                arrivals=None if plan.arrivals is None else plan.arrivals[number::count].copy(),
                concurrency=_part(plan.concurrency, number, count),
                max_in_flight=_part(plan.max_in_flight, number, count),
            ),
            folder,
            number,
            count,
        )
        for number in range(count)
    ]


def _part(total: int, number: int, count: int) -> int:
    return (total + count - 1 - number) // count
