"""Runs a plan: starts the workers, follows their records, and ends them cleanly at a signal."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadgen.engine import limits
from loadgen.engine.follow import Follower, Second
from loadgen.engine.plan import Plan
from loadgen.engine.processes import Processes
from loadgen.engine.records import TICK
from loadgen.engine.stop import Stop

START_SECONDS = 0.1  # from the order to start until second 0


@dataclass(frozen=True)
class Clock:
    """The start of the run on the system's monotonic clock, and as seconds since 1970."""

    monotonic: float
    epoch: float


@dataclass(frozen=True)
class Recorded:
    """A finished run: its files in `folder`, and how it ended.

    ended_by: "duration", a signal's name ("SIGINT"), or the reason passed to `Stop.request`.
    sending_seconds: length of the window in which requests were due: that of the plan, or less after a stop.
    ticks: dtype TICK, a row for each second and worker.
    problems: what the generator itself ran into, in words, such as a worker that died or a full disk.
    """

    plan: Plan
    folder: Path
    clock: Clock
    ended_by: str
    sending_seconds: float
    cpu_seconds: float
    ticks: NDArray[np.void]
    problems: list[str] = field(default_factory=list)


def run(
    plan: Plan,
    folder: Path,
    on_second: Callable[[Second], None] = lambda second: None,
    stop: Stop | None = None,
    on_start: Callable[[Clock], None] = lambda clock: None,
) -> Recorded:
    """Send the plan's load; block until the last request has ended. Records go to `folder`, which is made if missing.

    `on_start` is called once, shortly before second 0, with the clock that all times count from; `on_second` after
    each second. Both run in this process, never in one that sends. Raises `limits.Refused` before anything is sent if
    the plan cannot fit on this machine, and OSError if `folder` cannot be written.
    """
    most = plan.concurrency if plan.arrivals is None else min(plan.concurrency, plan.max_in_flight)
    plan = replace(plan, workers=max(min(plan.workers, most), 1))
    limits.check(plan)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stop = stop or stack.enter_context(Stop())
        return _Run(plan, folder, on_second, stop, stack.enter_context(Processes(plan, folder))).carry_out(on_start)


class _Run:
    """What is known of a run while it lasts."""

    def __init__(
        self, plan: Plan, folder: Path, on_second: Callable[[Second], None], stop: Stop, processes: Processes
    ) -> None:
        self._plan, self._folder, self._stop, self._processes = plan, folder, stop, processes
        self._follower = Follower(plan, folder, on_second)
        self._obeyed = 0
        self._end = math.inf  # of the sending, on the monotonic clock
        self._ready: set[int] = set()
        self._ended: dict[int, dict[str, float]] = {}
        self._problems: list[str] = []

    def carry_out(self, on_start: Callable[[Clock], None]) -> Recorded:
        while len(self._ready) < len(self._processes) and not self._stop.requests:
            self._listen()
        clock = Clock(time.monotonic() + START_SECONDS, time.time() + START_SECONDS)
        self._end = clock.monotonic + self._plan.seconds
        self._processes.send(f"start {clock.monotonic!r}")
        on_start(clock)
        while len(self._processes):
            self._obey()
            self._listen()
        self._follower.finish()
        windows = [worker["sending_seconds"] for worker in self._ended.values()]
        ticks = np.array(self._follower.ticks, TICK)
        return Recorded(
            plan=self._plan,
            folder=self._folder,
            clock=clock,
            ended_by=self._stop.reason or "duration",
            sending_seconds=max(windows, default=min(self._plan.seconds, time.monotonic() - clock.monotonic)),
            cpu_seconds=float(ticks["cpu"].sum()),
            ticks=ticks,
            problems=self._problems,
        )

    def _obey(self) -> None:
        requests = self._stop.requests
        if self._stop.signal and not self._obeyed and time.monotonic() > self._end:
            requests = 2  # there is nothing left to stop but what is under way
        while self._obeyed < min(requests, 2):
            self._processes.send(("stop", "cut")[self._obeyed])
            self._obeyed += 1

    def _listen(self) -> None:
        for number, message in self._processes.messages(self._stop):
            match message:
                case {"ready": _}:
                    self._ready.add(number)
                case {"tick": row}:
                    self._follower.add(tuple(row))
                case {"problem": str(text)}:
                    self._problems.append(f"process {number}: {text}")
                    self._stop.request(text)
                case {"ended": dict(ended)}:
                    self._ended[number] = ended
                case {"exit": int(status)}:
                    self._follower.remove(number)
                    if number not in self._ended:
                        self._problems.append(f"process {number} ended unexpectedly, with status {status}")
                        self._ready.discard(number)
