"""Runs a batch in a thread for all callers, with iteration-level scheduling: sequences join and leave between steps.

This is the same for every library that computes in steps.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol

from apps.lm.engines.protocol import GenerationRequest, Receive

LOG = logging.getLogger("lm")
POLL_SECONDS = 1  # between a caller's checks whether it was cancelled: a step may hang


@dataclass(eq=False)
class BatchSequence:
    """A sequence in a batch. `error` says why it cannot continue."""

    request: GenerationRequest
    tokens: list[int] = field(default_factory=list)  # generated so far
    error: Exception | None = None

    @property
    def finished(self) -> bool:
        """Whether no more tokens follow."""
        ended = bool(self.tokens) and self.tokens[-1] in self.request.end_tokens
        return ended or len(self.tokens) >= self.request.max_tokens or self.error is not None


class Batch(Protocol):
    """The sequences that one library computes together. Not thread-safe.

    `join` raises what is wrong with one sequence, and `step` sets that sequence's `error`. Any other exception leaves
    the batch in an unknown state.
    """

    def join(self, sequence: BatchSequence) -> None:
        """Add a sequence; raise what is wrong with it."""

    def leave(self, sequence: BatchSequence) -> None:
        """Remove a sequence that has not finished."""

    def step(self) -> list[BatchSequence]:
        """Compute for some or all sequences, of which there is at least one.

        Return those that have more tokens or an error. Those that have finished are no longer in the batch.
        """


class EngineError(Exception):
    """Why the engine has ended, for those that wait and for later callers."""


class BatchEngine:
    """An `Engine` that steps `batch` in a thread of its own. The thread sleeps while there are no callers.

    When the batch fails, all current and later callers get an EngineError, and `failure` says why.
    """

    def __init__(self, batch: Batch) -> None:
        self.failure: str | None = None
        self.batch = batch
        self._arrivals: SimpleQueue[_Caller] = SimpleQueue()
        self._callers: dict[BatchSequence, _Caller] = {}
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def generate(self, request: GenerationRequest, receive: Receive, cancelled: Callable[[], bool]) -> None:
        """See `Engine.generate`."""
        caller = _Caller(request, receive, cancelled)
        self._arrivals.put(caller)
        caller.wait()

    def _run(self) -> None:
        try:
            while True:
                self._remove_cancelled()  # first, so that a new sequence can have the place of a cancelled one
                self._add_arrivals()
                if self._callers:
                    self._step()
        except BaseException as error:
            LOG.error("the engine has failed", exc_info=error)
            self._refuse_all(error)

    def _add_arrivals(self) -> None:
        """Let all new sequences join; wait for one if the batch is empty."""
        while not self._callers or not self._arrivals.empty():
            caller = self._arrivals.get()
            try:
                self.batch.join(caller.sequence)
            except Exception as error:  # only this sequence is wrong, and it has not joined
                caller.end(error)
            else:
                self._callers[caller.sequence] = caller

    def _remove_cancelled(self) -> None:
        for caller in [caller for caller in self._callers.values() if caller.cancelled()]:
            self._end(caller)

    def _step(self) -> None:
        for sequence in self.batch.step():
            caller = self._callers[sequence]
            try:
                enough = sequence.error is None and caller.receive_new()
            except Exception as error:  # concerns only this caller
                self._end(caller, error)
                continue
            if sequence.finished or enough:
                self._end(caller, sequence.error)

    def _end(self, caller: "_Caller", error: Exception | None = None) -> None:
        del self._callers[caller.sequence]
        caller.end(error)
        if not caller.sequence.finished:
            self.batch.leave(caller.sequence)

    def _refuse_all(self, error: BaseException) -> None:
        """Raise EngineError in all current and later callers."""
        reason, name = repr(error), type(error).__name__
        self.failure = f"The engine has failed ({name}) and answers nothing until the process is restarted."
        for caller in self._callers.values():
            caller.end(EngineError(reason))
        while True:
            self._arrivals.get().end(EngineError(reason))


class _Caller:
    """A thread that waits for the end of its sequence."""

    def __init__(self, request: GenerationRequest, receive: Receive, cancelled: Callable[[], bool]) -> None:
        self.sequence = BatchSequence(request)
        self.cancelled = cancelled
        self._receive, self._received = receive, 0
        self._ended = threading.Event()
        self._error: Exception | None = None

    def wait(self) -> None:
        """Return at the end or once cancelled; raise the error that was the end."""
        while not self.cancelled() and not self._ended.wait(POLL_SECONDS):
            pass
        if self._error is not None:
            raise self._error

    def receive_new(self) -> bool:
        """Hand over the tokens since the last call; return whether the caller needs no more."""
        start, self._received = self._received, len(self.sequence.tokens)
        return any(self._receive(token) for token in self.sequence.tokens[start:])

    def end(self, error: Exception | None) -> None:
        """Let the thread go on; it raises `error`."""
        self._error = error
        self._ended.set()
