"""Burns a set amount of CPU time per request (ARTIFICIAL_CPU_SEC), so that a small model can show autoscaling."""

import hashlib
import threading
import time
from collections.abc import Callable

BUFFER = bytes(256 * 1024)  # hashed in well under a millisecond


def burn(seconds: float, stop: Callable[[], bool] = lambda: False) -> float:
    """Use `seconds` of the calling thread's CPU time, less if `stop()` returns True; return the seconds used.

    hashlib releases the interpreter lock while it hashes a buffer, so the event loop keeps running.
    """
    start = time.thread_time()
    while (used := time.thread_time() - start) < seconds and not stop():
        hashlib.sha256(BUFFER)
    return used


class Burner:
    """Burns in one thread at a time: threads that burn together would only slow each other."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, stop: Callable[[], bool]) -> None:
        if self.seconds:
            with self._lock:
                burn(self.seconds, stop)
