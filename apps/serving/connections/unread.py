"""Bounds the answers that a client does not read: their bytes count, and a client that reads nothing is cut off."""

from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

from apps.serving.byte_budget import ByteBudget, Usage

STALL_SECONDS: float = 30  # without any progress of the reader


class UnreadAnswers:
    """What one connection's transport has buffered because the client does not read it."""

    def __init__(self, transport: WriteTransport, budget: ByteBudget, loop: AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._usage = Usage(budget, transport.abort)
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        """Count the buffered bytes and start the timer: the transport's buffer is full."""
        size = self._transport.get_write_buffer_size()
        self._usage.set(size)
        self._start_timer(size)

    def end(self) -> None:
        """Stop counting: the client has read most of the buffer, or the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._usage.set(0)

    def closing(self) -> None:
        """Start the timer for the bytes that are left when the last answer is written."""
        if (size := self._transport.get_write_buffer_size()) and self._timer is None:
            self._start_timer(size)

    def _start_timer(self, size: int) -> None:
        self._timer = self._loop.call_later(STALL_SECONDS, self._check_progress, size)

    def _check_progress(self, previous_size: int) -> None:
        size = self._transport.get_write_buffer_size()
        self._transport.abort() if size >= previous_size else self._start_timer(size)
