"""An engine of any runtime that computes in steps: a thread steps one batch for everybody who waits for tokens."""

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from apps.lm.engine import Generation
from apps.lm.member import Member

LOG = logging.getLogger("lm")
LOOK_SECONDS = 1  # without a token, until a caller looks whether anybody still waits: a step may hang


class EngineError(Exception):
    """Why the engine has ended, for those who wait and for those who come later."""


class SteppedBatch(Protocol):
    """What a runtime gives: `apps.lm.batch` on torch, `apps.lm.openvino_batch` on OpenVINO. Not for several threads.

    Only `join` may raise what is wrong with one sequence; `step` puts it into the member's `error`. Whatever else they
    raise leaves a batch in a state that nobody knows.
    """

    def join(self, member: Member) -> None:
        """Let a sequence in; raise what is wrong with it."""

    def leave(self, member: Member) -> None:
        """Take out a sequence that has not finished."""

    def step(self) -> list[Member]:
        """Compute for some or all who are in, of whom there are some; return who has one more token or has failed."""


class BatchEngine:
    """A thread of its own computes for everybody; it sleeps while nobody asks.

    When the batch fails it only refuses, and `failure` says why.
    """

    def __init__(self, batch: SteppedBatch) -> None:
        self.failure: str | None = None
        self._batch = batch
        self._arrivals: SimpleQueue[_Caller] = SimpleQueue()
        self._callers: dict[Member, _Caller] = {}
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def generate(self, wanted: Generation, cancelled: Callable[[], bool]) -> Generator[int]:
        """As `Engine.generate` says."""
        caller = _Caller(wanted, cancelled)
        self._arrivals.put(caller)
        try:
            yield from caller.tokens()
        finally:
            caller.left = True

    def _run(self) -> None:
        try:
            while True:
                self._part()  # first: whoever comes may have the place of one who has gone
                self._welcome()
                if self._callers:
                    self._step()
        except BaseException as error:
            LOG.error("the engine has failed", exc_info=error)
            self._refuse(error)

    def _welcome(self) -> None:
        """Let everyone join who has come; wait for someone if nobody is there."""
        while not self._callers or not self._arrivals.empty():
            caller = self._arrivals.get()
            try:
                self._batch.join(caller.member)
            except Exception as error:  # of this one; it has not joined
                caller.output.put(error)
            else:
                self._callers[caller.member] = caller

    def _part(self) -> None:
        """Let everyone leave whom nobody waits for."""
        for caller in [caller for caller in self._callers.values() if caller.gone]:
            self._batch.leave(caller.member)
            del self._callers[caller.member]

    def _step(self) -> None:
        for member in self._batch.step():
            if member.error is None:
                self._callers[member].output.put(member.tokens[-1])
            if member.finished:
                self._callers.pop(member).output.put(member.error)

    def _refuse(self, error: BaseException) -> None:
        """Tell everybody who waits, and from now on whoever comes."""
        reason, name = repr(error), type(error).__name__
        self.failure = f"The engine has failed ({name}) and answers nothing until the process is restarted."
        for caller in self._callers.values():
            caller.output.put(EngineError(reason))
        while True:
            self._arrivals.get().output.put(EngineError(reason))


class _Caller:
    """Who waits for the tokens of a sequence."""

    def __init__(self, wanted: Generation, cancelled: Callable[[], bool]) -> None:
        self.member = Member(wanted.prompt, wanted.most, wanted.ends, wanted.sampling)
        self.output: SimpleQueue[int | Exception | None] = SimpleQueue()
        self.left = False
        self._cancelled = cancelled

    @property
    def gone(self) -> bool:
        return self.left or self._cancelled()

    def tokens(self) -> Iterator[int]:
        """What comes until the end, which is None or an error, or until nobody waits for it."""
        while isinstance(item := self._next(), int):
            yield item
        if item is not None:
            raise item

    def _next(self) -> int | Exception | None:
        while not self.gone:
            with suppress(Empty):
                return self.output.get(timeout=LOOK_SECONDS)
        return None
