"""Hands the tokens of a step to the event loop at once, before the next step, which competes for GIL and CPU."""

import asyncio
import threading
from contextlib import suppress

TURNS = 2  # of the loop after tokens reach it: their readers run in the first, and its writes are flushed at its end
MAX_SECONDS = 0.005  # a loop that is busy for longer delays no step


class LoopTurn:
    """A function for the engine's thread: waits until `loop` has sent what it was handed before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._over = loop, threading.Event()

    def __call__(self) -> None:
        self._over.clear()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._count_down, TURNS)
            self._over.wait(MAX_SECONDS)

    def _count_down(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._count_down, turns - 1)
        else:
            self._over.set()
