"""Gives every connection its turn: what a crowd sends at once is parsed and begun in small portions.

Between two portions the event loop looks at its sockets, so that a probe waits for a portion and not for the crowd.
"""

import asyncio
from collections import deque
from collections.abc import Callable

PORTION = 8  # steps, each of them well under a millisecond


class Turns:
    """All calls come from one event loop."""

    def __init__(self) -> None:
        self._steps: deque[Callable[[], object]] = deque()
        self._left, self._renewing = PORTION, False

    def spare(self) -> bool:
        """Whether a step may be done at once, which then counts; otherwise it has to `wait`."""
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)
        if self._steps or not self._left:
            return False
        self._left -= 1
        return True

    def wait(self, step: Callable[[], object]) -> None:
        """Do `step` in its turn."""
        self._steps.append(step)
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._left, steps = PORTION, len(self._steps)
        self._renewing = steps > 0
        if self._renewing:
            asyncio.get_running_loop().call_soon(self._renew)
        for _ in range(min(PORTION, steps)):
            self._left -= 1
            self._steps.popleft()()
