"""Bounds what a client leaves unread of its answers: the bytes count, and a client that reads nothing is given up."""

import socket
from asyncio import AbstractEventLoop, BaseTransport, TimerHandle, WriteTransport

from apps.serving.byte_budget import ByteBudget, Hold

STALL_SECONDS = 30  # for a client that reads nothing of its answer


ESTABLISHED = 1  # of TCP_INFO's first byte (linux/tcp.h)


def gone(transport: BaseTransport) -> bool:
    """Whether the client has closed its end, seen without reading; where the system cannot tell: no."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return False
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED


class UnreadAnswers:
    """Of one connection; `begin` when its transport's buffer is full, `end` when the client has read most of it."""

    def __init__(self, transport: WriteTransport, budget: ByteBudget, loop: AbstractEventLoop) -> None:
        self._transport, self._budget, self._loop = transport, budget, loop
        self._hold: Hold | None = None
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        """Count what is in the buffer, and look at it again after a while."""
        size = self._transport.get_write_buffer_size()
        self._hold = self._budget.hold(self._transport.abort)
        self._hold.grow(size)
        self._wait(size)

    def end(self) -> None:
        """Count it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def closing(self) -> None:
        """The last answer is written: its client has as long as any to read some of it."""
        if (size := self._transport.get_write_buffer_size()) and self._timer is None:
            self._wait(size)

    def _wait(self, size: int) -> None:
        self._timer = self._loop.call_later(STALL_SECONDS, self._look, size)

    def _look(self, before: int) -> None:
        size = self._transport.get_write_buffer_size()
        self._transport.abort() if size >= before else self._wait(size)
