"""A service whose batch fails for sequences of FATAL tokens. Also a program: `python -m …failing`."""

import dataclasses
import sys

from apps.lm.engines.batching import Batch, BatchEngine, BatchSequence
from apps.lm.model import LanguageModel
from apps.lm.service import LanguageModelService
from apps.lm.settings import LanguageModelSettings
from apps.lm.tests.engines.sequences import sequence
from apps.serving.server import main

FATAL = 13  # tokens of an answer


class FailingBatch:
    """Fails at `place`: when a fatal sequence joins, gets a token, has its token collected, or leaves."""

    def __init__(self, batch: Batch, place: str) -> None:
        self._batch, self._place = batch, place

    def join(self, a_sequence: BatchSequence) -> None:
        self._fail("join", a_sequence)
        self._batch.join(a_sequence)

    def leave(self, a_sequence: BatchSequence) -> None:
        self._fail("leave", a_sequence)
        self._batch.leave(a_sequence)

    def step(self) -> list[BatchSequence]:
        sequences = self._batch.step()
        for each in sequences:
            self._fail("step", each)
            if each.finished:
                self._fail("leave", each)
        fatal = any(each.request.max_tokens == FATAL for each in sequences)
        return [sequence((1,), 1)] if fatal and self._place == "collect" else sequences  # one without a caller

    def _fail(self, place: str, a_sequence: BatchSequence) -> None:
        if place == self._place and a_sequence.request.max_tokens == FATAL:
            raise RuntimeError(f"the secret of {place}")


class FailingService(LanguageModelService):
    def __init__(self, place: str = "leave") -> None:
        self._place = place

    def load(self, settings: LanguageModelSettings) -> LanguageModel:
        model = super().load(settings)
        assert isinstance(model.engine, BatchEngine)
        return dataclasses.replace(model, engine=BatchEngine(FailingBatch(model.engine.batch, self._place)))


if __name__ == "__main__":
    sys.exit(main(FailingService()))
