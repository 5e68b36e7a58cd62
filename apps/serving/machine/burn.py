"""Burns a given amount of CPU time, so that a small model can show how load scales pods."""

import hashlib
import threading
import time
from collections.abc import Callable

BUFFER = bytes(256 * 1024)


def burn(seconds: float, stop: Callable[[], bool] = lambda: False) -> float:
    """Use `seconds` of CPU time of the calling thread; return what was used.

    Works in slices of well under a millisecond, and hashing lets go of the interpreter lock: the event loop
    is never kept waiting for it. Ends early when `stop()` is true.
    """
    start = time.thread_time()
    while (used := time.thread_time() - start) < seconds and not stop():
        hashlib.sha256(BUFFER)
    return used


class Burner:
    """Burns one at a time, however many threads ask: two at once would only slow each other."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._turn = threading.Lock()

    def __call__(self, stop: Callable[[], bool]) -> None:
        if self.seconds:
            with self._turn:
                burn(self.seconds, stop)
