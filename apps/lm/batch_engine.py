"""An engine of any runtime that computes in steps: a thread steps one batch for everybody who waits for tokens."""

import threading
from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from typing import Protocol

from apps.lm.engine import Generation
from apps.lm.member import Member


class SteppedBatch(Protocol):
    """What a runtime gives: `apps.lm.batch` on torch, `apps.lm.openvino_batch` on OpenVINO. Not for several threads."""

    computing: list[Member]  # who has failed if a step fails

    def join(self, member: Member) -> None:
        """Let a sequence in; raise what is wrong with it."""

    def leave(self, member: Member) -> None:
        """Take out a sequence that has not finished."""

    def step(self) -> list[Member]:
        """Compute for some or all who are in, of whom there are some; return who has one more token or has failed."""


class BatchEngine:
    """A thread of its own computes for everybody; it sleeps while nobody asks."""

    def __init__(self, batch: SteppedBatch) -> None:
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
        while True:
            self._welcome()
            for caller in [caller for caller in self._callers.values() if caller.gone]:
                self._end(caller)
            if self._callers:
                self._step()

    def _welcome(self) -> None:
        """Let everyone join who has come; wait for someone if nobody is there."""
        while not self._callers or not self._arrivals.empty():
            caller = self._arrivals.get()
            try:
                self._batch.join(caller.member)
                self._callers[caller.member] = caller
            except Exception as error:  # of this one; it has not joined
                caller.output.put(error)

    def _step(self) -> None:
        try:
            for member in self._batch.step():
                if member.error is None:
                    self._callers[member].output.put(member.tokens[-1])
                if member.finished:
                    self._callers.pop(member).output.put(member.error)
        except Exception as error:
            for member in self._batch.computing:
                self._end(self._callers[member], error)

    def _end(self, caller: "_Caller", error: Exception | None = None) -> None:
        del self._callers[caller.member]
        self._batch.leave(caller.member)
        caller.output.put(error)


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
        """What comes until the end, which is None or an error."""
        while isinstance(item := self.output.get(), int):
            yield item
        if item is not None:
            raise item
