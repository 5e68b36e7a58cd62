"""Decides when each request starts: at its intended time (open loop), or when a user is free (closed loop)."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from loadgen.client.exchange import Exchange
from loadgen.client.pool import Pool
from loadgen.engine.pacing import alarm
from loadgen.targets.outcome import Outcome

UNANSWERED_PAUSE_SECONDS = 0.1
BATCH = 64  # arrivals in one turn of the event loop, so that answers are read in between


class Loop(ABC):
    """Sends exchanges through a pool.

    due, started, dropped: requests so far. waiting: those without a free connection. sending: whether more follow.
    """

    def __init__(self, pool: Pool, new: Callable[[float], Exchange], start: float) -> None:
        self._pool, self._new, self._start = pool, new, start  # start: on the monotonic clock
        self.due = self.started = self.dropped = 0
        self.waiting: deque[Exchange] = deque()
        self.sending = True

    @abstractmethod
    def run(self) -> None:
        """Begin; nothing is sent before `start`."""

    @abstractmethod
    def ended(self, exchange: Exchange) -> None:
        """Note that a request has ended."""

    @abstractmethod
    def finish(self) -> None:
        """Note that the time of the plan is over."""

    @abstractmethod
    def stop(self) -> None:
        """Send nothing more that is not yet due."""

    def abandon(self) -> list[Exchange]:
        """Send nothing more; return what was due and has not been sent."""
        self.sending = False
        unsent = list(self.waiting)
        self.waiting.clear()
        return unsent

    def expired(self, timeout_seconds: float) -> list[Exchange]:
        """Return what has waited for a connection for that long, and send it no more."""
        since, gone = self._pool.now() - timeout_seconds, []
        while self.waiting and self.waiting[0].waiting_since <= since:
            gone.append(self.waiting.popleft())
        return gone

    def _send(self, exchange: Exchange) -> None:
        self.started += 1
        self._pool.send(exchange)


class OpenLoop(Loop):
    """Sends at intended times, whatever the service does.

    concurrency: the most requests that are sent at once; further ones wait. in_flight: the most that wait or are under
    way; `drop` is called with further ones.
    """

    def __init__(
        self,
        pool: Pool,
        new: Callable[[float], Exchange],
        start: float,
        arrivals: NDArray[np.float64],
        concurrency: int,
        in_flight: int,
        drop: Callable[[Exchange], None],
    ) -> None:
        super().__init__(pool, new, start)
        self._arrivals = memoryview(arrivals)  # type: ignore[arg-type]  # arrays are buffers from Python 3.12 on
        self._next, self._count = 0, len(arrivals)
        self._concurrency, self._in_flight, self._drop = concurrency, in_flight, drop

    def run(self) -> None:
        self._alarm = alarm(self._wake)
        self._set()

    def finish(self) -> None:
        """Nothing: what was due is sent, however late."""

    def stop(self) -> None:
        due = int(np.searchsorted(self._arrivals, self._pool.now(), side="right"))
        self._count = min(max(due, self._next), self._count)
        self._set()

    def abandon(self) -> list[Exchange]:
        self.stop()
        unsent = super().abandon()
        waited = len(unsent)
        while self._next < self._count:
            unsent.append(self._new(self._arrivals[self._next]))
            self._next += 1
        self.due += len(unsent) - waited
        return unsent

    def ended(self, exchange: Exchange) -> None:
        if self.waiting and len(self._pool) < self._concurrency:
            self._send(self.waiting.popleft())

    def _set(self) -> None:
        if self._next < self._count:
            self._alarm.set(self._start + self._arrivals[self._next])
        else:
            self.sending = False

    def _wake(self) -> None:
        now, arrivals = self._pool.now(), self._arrivals
        for _ in range(BATCH):
            if self._next >= self._count or (intended := arrivals[self._next]) > now:
                break
            self._next += 1
            self._arrive(intended, now)
            now = self._pool.now()
        self._set()

    def _arrive(self, intended: float, now: float) -> None:
        exchange = self._new(intended)
        self.due += 1
        under_way = len(self._pool)
        if under_way < self._concurrency:
            self._send(exchange)
        elif under_way + len(self.waiting) < self._in_flight:
            exchange.waiting_since = now
            self.waiting.append(exchange)
        else:
            self.dropped += 1
            exchange.end, exchange.outcome = now, Outcome.DROPPED
            exchange.detail = "as many requests under way as max_in_flight allows"
            self._drop(exchange)


class ClosedLoop(Loop):
    """`users` send their next request when the previous one is answered, until `seconds` are over.

    A user without an answer pauses; otherwise it would send thousands of requests a second to a port that refuses
    connections. obey_retry_after: it waits as long as a 429 or 503 asks.
    """

    def __init__(
        self,
        pool: Pool,
        new: Callable[[float], Exchange],
        start: float,
        users: int,
        seconds: float,
        obey_retry_after: bool,
    ) -> None:
        super().__init__(pool, new, start)
        self._users, self._seconds, self._obey = users, seconds, obey_retry_after

    def run(self) -> None:
        self._alarm = alarm(self._begin)
        self._alarm.set(self._start)

    def finish(self) -> None:
        self.sending = False

    def stop(self) -> None:
        self.sending = False

    def ended(self, exchange: Exchange) -> None:
        retry = exchange.retry_seconds if self._obey else math.nan
        if retry == retry:  # not NaN
            self._pause(retry)
        elif exchange.status:
            self._next(exchange.end)
        else:
            self._pause(UNANSWERED_PAUSE_SECONDS)

    def _begin(self) -> None:
        now = self._pool.now()
        for _ in range(self._users):
            self._next(now)

    def _pause(self, seconds: float) -> None:
        if self.sending:
            asyncio.get_running_loop().call_later(seconds, lambda: self._next(self._pool.now()))

    def _next(self, now: float) -> None:
        if self.sending and now < self._seconds:
            exchange = self._new(now)
            self.due += 1
            self._send(exchange)
