"""Ends a run early, by a signal or by a decision of the caller."""

import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 2  # signals that are obeyed in order; the next one raises


class Stop:
    """Ends a run early; as a context manager it turns SIGINT, SIGTERM and SIGHUP into requests to stop.

    The first request ends the sending and awaits what is under way, the second cuts that off. Within the context
    signals never raise up to the third, which raises KeyboardInterrupt: keep the context open while the document is
    written.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.signal: int | None = None  # the first signal that came
        self.requests = 0
        self._signals = 0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._previous: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def request(self, reason: str) -> None:
        """Ask for the end of the run; may be called in any thread. The first reason counts."""
        self.reason = self.reason or reason
        self.requests += 1
        self._writer.send(b"\0")

    def fileno(self) -> int:
        """A file that becomes readable with each request."""
        return self._reader.fileno()

    def clear(self) -> None:
        """Empty the file."""
        self._reader.recv(1024)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._signals += 1
        if self._signals > PATIENCE:
            raise KeyboardInterrupt
        self.signal = self.signal or number
        self.request(signal.Signals(number).name)
