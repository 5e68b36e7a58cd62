"""Runs a plan: starts the workers, follows their records, and ends them cleanly at a signal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.plan import Plan


@dataclass(frozen=True)
class Clock:
    """The start of the run on the system's monotonic clock, and as seconds since 1970."""

    monotonic: float
    epoch: float


@dataclass(frozen=True)
class Second:
    """One past second of the run, over all workers. Requests count in the second in which they ended.

    records: what ended within it (dtype RECORD), for thresholds over the run so far; `detail`, `pod` and `version`
    are numbers of `texts`, which only grows.
    response_seconds: p50, p90, p99 of the requests that ended, a failure counting as at least its timeout; None if
    none ended.
    cpu_share: of the busiest worker, of one core.
    """

    second: int
    phase: str  # "drain" after the last
    due: int
    started: int
    succeeded: int
    failed: int
    dropped: int
    in_flight: int
    waiting: int
    response_seconds: Mapping[str, float] | None
    cpu_share: float
    records: NDArray[np.void]
    texts: list[str | None]


@dataclass(frozen=True)
class Recorded:
    """A finished run: its files in `folder`, and how it ended.

    ended_by: "duration", a signal's name ("SIGINT"), or the reason passed to `Stop.request`.
    sending_seconds: length of the window in which requests were due: that of the plan, or less after a stop.
    elapsed_seconds: until the last request ended.
    problems: what the generator itself ran into, in words, such as a worker that died or a full disk.
    """

    plan: Plan
    folder: Path
    clock: Clock
    ended_by: str
    sending_seconds: float
    elapsed_seconds: float
    cpu_seconds: float
    problems: list[str] = field(default_factory=list)


class Stop:
    """Ends a run early; as a context manager it turns SIGINT, SIGTERM and SIGHUP into requests to stop.

    The first request ends the sending and awaits what is under way, the second cuts that off. Within the context
    signals never raise up to the third, which raises KeyboardInterrupt: keep the context open while the document is
    written.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers."""

    @property
    def signal(self) -> int | None:
        """The first signal that came, or None."""
        return None

    def request(self, reason: str) -> None:
        """Ask for the end of the run; may be called in any thread."""


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
    the plan cannot fit on this machine (open files).
    """
    raise NotImplementedError
