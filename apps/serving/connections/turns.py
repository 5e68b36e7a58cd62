"""Shares the event loop fairly: work of many connections runs in small portions.

Between two portions the event loop polls its sockets, so that a health probe waits for one portion, not for all work.
"""

import asyncio
from collections import deque
from collections.abc import Callable

PORTION = 8  # steps, each of them well under a millisecond


class Turns:
    """Queue of steps in order of arrival. Not thread-safe: call it from one event loop."""

    def __init__(self) -> None:
        self._steps: deque[Callable[[], object]] = deque()
        self._left, self._scheduled = PORTION, False

    def claim(self) -> bool:
        """Return whether the caller may do a step now, which then counts; if not, it has to `enqueue` the step."""
        self._schedule()
        if self._steps or not self._left:
            return False
        self._left -= 1
        return True

    def enqueue(self, step: Callable[[], object]) -> None:
        """Call `step` after the steps that were queued before it."""
        self._steps.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run_portion)

    def _run_portion(self) -> None:
        self._left, steps = PORTION, len(self._steps)
        self._scheduled = False
        if steps:
            self._schedule()
        for _ in range(min(PORTION, steps)):
            self._left -= 1
            self._steps.popleft()()
