"""Lets a bounded number of requests compute and a bounded number wait; everyone beyond is told so at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil

from apps.serving.problems import Problem


class Admission:
    """First come, first served. All calls come from one event loop."""

    def __init__(self, max_in_flight: int, max_queue: int) -> None:
        self.max_in_flight, self.max_queue = max_in_flight, max_queue
        self.in_flight = self.waiting = 0
        self._places = asyncio.Semaphore(max_in_flight)
        self.seconds = 0.0  # moving mean of what a request computes

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it; cancelling the waiting task frees its place in the queue.

        Raises a 503 Problem with Retry-After at once when `max_queue` are waiting already.
        """
        if self._places.locked() and self.waiting >= self.max_queue:
            raise self._full()
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.in_flight += 1
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds += 0.1 * (time.monotonic() - begun - self.seconds)
            self.in_flight -= 1
            self._places.release()

    def _full(self) -> Problem:
        wait = ceil(self.seconds * (self.waiting + 1) / self.max_in_flight)
        detail = (
            f"{self.in_flight} requests are being computed and {self.waiting} wait, which is the limit "
            "(MAX_IN_FLIGHT, MAX_QUEUE). Try again later."
        )
        return Problem(503, detail, headers={"Retry-After": str(min(max(wait, 1), 60))})
