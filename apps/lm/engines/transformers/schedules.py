"""The orders in which prefill and decode take turns, one class each."""

from concurrent.futures import Executor, Future
from functools import partial

import torch
from transformers import PreTrainedModel

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.transformers.batch import Row, TransformersBatch
from apps.lm.engines.transformers.forward import next_logits

CHUNK, LARGE_CHUNK = 32, 128  # tokens of a prompt in one forward pass: between two decode steps, and otherwise
GPU_CHUNK, GPU_LARGE_CHUNK = 512, 1024  # a GPU computes so many in about the time of one token


class AlternatingBatch(TransformersBatch):
    """Prefills and decodes in one thread, and serves the majority.

    If more sequences await prefill than decode, it prefills large chunks and pauses decoding. Otherwise each
    small chunk is followed by a decode step.
    """

    def __init__(
        self, model: PreTrainedModel, rows: int, context: int, chunk: int = CHUNK, large_chunk: int = LARGE_CHUNK
    ) -> None:
        super().__init__(model, rows, context)
        self._chunk, self._large_chunk = chunk, large_chunk
        self._prefilled_last = False  # whether the last step was a prefill

    def try_largest_steps(self) -> None:
        """Prefill a chunk at the end of the context and decode all rows there: no other steps need as much memory.

        Call it before a sequence joins. Raises what the forward passes raise.
        """
        chunk, rows = min(self._large_chunk, self._context), self._rows
        next_logits(self._model, self._prompt_cache, [self._context - chunk], [(0,) * chunk], keep=chunk)
        next_logits(self._model, self._cache, [self._context - 1] * rows, [(0,)] * rows)

    @torch.inference_mode()
    def step(self) -> list[BatchSequence]:
        """See `TransformersBatch.step`."""
        row, majority_waits = self._next_prefill(), len(self._waiting) > len(self._decoding)
        if row is None or (self._prefilled_last and not majority_waits):
            self._prefilled_last = False
            return self._decode()
        self._prefilled_last = True
        return self._end_prefill(row, partial(self._prefill, row, self._large_chunk if majority_waits else self._chunk))


class OverlappingBatch(TransformersBatch):
    """Prefills in `executor`, which has one thread, while it decodes: no sequence in decode waits for a prompt."""

    def __init__(
        self, model: PreTrainedModel, rows: int, context: int, executor: Executor, chunk: int = LARGE_CHUNK
    ) -> None:
        super().__init__(model, rows, context)
        self._executor, self._chunk = executor, chunk
        self._prefilling: tuple[Row, Future[torch.Tensor]] | None = None

    @torch.inference_mode()
    def step(self) -> list[BatchSequence]:
        """See `TransformersBatch.step`. Waits for a chunk only if there is nothing to decode."""
        row = self._next_prefill()
        if row and not self._prefilling:
            self._prefilling = row, self._executor.submit(self._prefill, row, self._chunk)
        sequences = self._decode() if self._decoding else []
        if self._prefilling and (not sequences or self._prefilling[1].done()):
            (row, future), self._prefilling = self._prefilling, None
            sequences += self._end_prefill(row, future.result)
        return sequences
