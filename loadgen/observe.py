"""Holds what is measured of each request and of the generator itself, on one clock."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

LAG_INTERVAL_SECONDS = 0.02


class Clock:
    """Monotonic seconds since the start of the run, to microseconds; the time of day is read once, at the start."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self._zero = time.monotonic()

    def now(self) -> float:
        return round(time.monotonic() - self._zero, 6)

    def wall(self, seconds: float) -> datetime:
        return self.started_at + timedelta(seconds=seconds)


@dataclass(slots=True)
class Observation:
    """One request. `start` and `end` are seconds since the start of the run; `report` documents the other fields."""

    start: float
    end: float = 0.0
    outcome: str = "ok"
    status: int | None = None
    detail: str | None = None
    served_by: str | None = None
    model_version: str | None = None
    request_id: str | None = None
    sample_index: int | None = None
    correct: bool | None = None
    completion_tokens: int | None = None

    @property
    def seconds(self) -> float:
        return round(self.end - self.start, 6)


@dataclass
class Run:
    """A run in progress or completed: everything that the report is made from."""

    target: str
    url: str
    settings: Mapping[str, Any]
    clock: Clock = field(default_factory=Clock)
    observations: list[Observation] = field(default_factory=list)
    failed: int = 0
    under_way: int = 0
    interrupted: bool = False
    elapsed_seconds: float = 0.0
    cpu_seconds: float = 0.0
    lags: list[float] = field(default_factory=list)

    def add(self, observation: Observation) -> None:
        self.observations.append(observation)
        self.failed += observation.outcome != "ok"


async def watch_loop(lags: list[float]) -> None:
    """Append the seconds by which the event loop was late for each timer, until cancelled.

    A late event loop timestamps answers late, so every reported latency includes its lag.
    """
    while True:
        due = time.monotonic() + LAG_INTERVAL_SECONDS
        await asyncio.sleep(LAG_INTERVAL_SECONDS)
        lags.append(max(0.0, time.monotonic() - due))
