"""Bounds how many requests compute and how many wait; a request beyond both is refused at once."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil

from apps.serving.problems import Problem


class Admission:
    """Admits requests in order of arrival, so that small requests cannot starve a large one.

    At most `max_in_flight` requests compute, and their sizes add up to at most `capacity`. Not thread-safe: call it
    from one event loop.
    """

    def __init__(self, max_in_flight: int, max_queue: int, capacity: int | None = None) -> None:
        self.max_in_flight, self.max_queue = max_in_flight, max_queue
        self.capacity = max_in_flight if capacity is None else capacity
        self.in_flight = self.held = 0  # requests that compute, and the sum of their sizes
        self.arrived = 0  # requests that are received, while the event loop has not started to serve them
        self.seconds = 0.0  # moving average of the time that a request computes
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Requests that wait to compute."""
        return self.arrived + len(self._waiters)

    @property
    def saturation(self) -> float:
        """Load as a share of the capacity, waiting requests included; from 1 on, requests wait."""
        requests = (self.in_flight + self.waiting) / self.max_in_flight
        return max(requests, (self.held + sum(size for size, _ in self._waiters)) / self.capacity)

    @property
    def retry_after(self) -> dict[str, str]:
        """The Retry-After header: an estimate, from 1 to 60 s, of when the requests that wait now are done."""
        wait = ceil(self.seconds * (self.waiting + 1) / self.max_in_flight)
        return {"Retry-After": str(min(max(wait, 1), 60))}

    def check(self) -> None:
        """For work that takes no place: raise the Problem of `place` when more than `max_queue` requests wait."""
        if self.waiting > self.max_queue:
            raise self._full()

    @asynccontextmanager
    async def place(self, size: int = 1, *, queued: bool = False) -> AsyncIterator[None]:
        """Wait for a place of `size` (at most `capacity`) and hold it. Cancelling the waiting task gives it up.

        Raises a 503 Problem with Retry-After at once when `max_queue` requests wait already, unless `queued`.
        """
        if not queued and self.waiting >= self.max_queue and (self._waiters or not self._fits(size)):
            raise self._full()
        await self._turn(size)
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds += 0.1 * (time.monotonic() - start - self.seconds)
            self._give_back(size)

    def _fits(self, size: int) -> bool:
        return self.in_flight < self.max_in_flight and self.held + size <= self.capacity

    async def _turn(self, size: int) -> None:
        waiter = size, asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._admit()
        try:
            await waiter[1]
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self._admit()
            elif not waiter[1].cancelled():  # admitted at the moment of the cancellation
                self._give_back(size)
            raise

    def _admit(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size, turn = self._waiters.popleft()
            if not turn.cancelled():
                self.in_flight, self.held = self.in_flight + 1, self.held + size
                turn.set_result(None)

    def _give_back(self, size: int) -> None:
        self.in_flight, self.held = self.in_flight - 1, self.held - size
        self._admit()

    def _full(self) -> Problem:
        detail = (
            f"{self.in_flight} requests are being computed and {self.waiting} wait, which is the limit "
            "(MAX_IN_FLIGHT, MAX_QUEUE). Try again later."
        )
        return Problem(503, detail, headers=self.retry_after)
