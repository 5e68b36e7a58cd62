"""Bounds what a client leaves unread of its answers: the bytes count, and a client that reads nothing is given up."""

from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

from apps.serving.byte_budget import ByteBudget, Hold

STALL_SECONDS = 30  # for a client that reads nothing of its answer


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
