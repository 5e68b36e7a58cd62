"""Computes the next token of many sequences in one forward pass of a transformers model.

Sequences in decode are the first rows of one KV cache, without gaps. A prompt is prefilled in a cache of its own, in
chunks, and then copied to the next free row. `schedules` has the orders in which prefill and decode take turns.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.protocol import GenerationRequest
from apps.lm.engines.sampling import Choose, chooser
from apps.lm.engines.transformers.cache import RowCache
from apps.lm.engines.transformers.drawing import drawing
from apps.lm.engines.transformers.forward import next_logits
from apps.lm.engines.transformers.logprobs import record


@dataclass(eq=False)
class Row:
    """A sequence, how its tokens are chosen, and how many of its tokens are in the KV cache."""

    sequence: BatchSequence
    choose: Choose
    length: int = 0

    @property
    def prompt(self) -> Sequence[int]:
        """The tokens of its prompt."""
        return self.sequence.request.prompt


class TransformersBatch(ABC):
    """At most `rows` sequences in decode, each of at most `context` tokens; any number may wait. Not thread-safe."""

    def __init__(self, model: PreTrainedModel, rows: int, context: int) -> None:
        self._model, self._rows, self._context = model, rows, context
        self._cache, self._prompt_cache = RowCache(model, rows, context), RowCache(model, 1, context)
        self._waiting: deque[Row] = deque()  # the first one may be partly prefilled
        self._decoding: list[Row] = []
        for cache in (self._cache, self._prompt_cache):  # the first forward pass shows the shapes of keys and values
            self._forward(cache, [self._row(BatchSequence(GenerationRequest((0,), 1)))], [(0,)])

    def __len__(self) -> int:
        return len(self._waiting) + len(self._decoding)

    def __iter__(self) -> Iterator[BatchSequence]:
        return (row.sequence for row in [*self._decoding, *self._waiting])

    def max_cache_bytes(self, tokens: int) -> int:
        """The most bytes that keys and values take while all sequences together reserve at most `tokens` tokens."""
        return self._cache.max_bytes(tokens) + self._prompt_cache.max_bytes(self._context)

    def join(self, sequence: BatchSequence) -> None:
        """Add a sequence to those that wait for prefill; raise ValueError if it cannot fit."""
        request = sequence.request
        if not request.prompt or request.total_tokens > self._context:
            raise ValueError(f"{len(request.prompt)} + {request.max_tokens} tokens do not fit in 1 to {self._context}.")
        self._waiting.append(self._row(sequence))

    @torch.inference_mode()
    def leave(self, sequence: BatchSequence) -> None:
        """Remove a sequence; the last row moves into its place."""
        for row in self._waiting:
            if row.sequence is sequence:
                return self._waiting.remove(row)
        self._free(next(row for row in self._decoding if row.sequence is sequence))

    @abstractmethod
    def step(self) -> list[BatchSequence]:
        """Decode one token of all rows, or prefill a chunk of the next prompt, or both.

        Return the sequences that have one more token or an error; those that have finished have left the batch.
        """

    def _row(self, sequence: BatchSequence) -> Row:
        return Row(sequence, chooser(sequence.request, drawing))

    def _next_prefill(self) -> Row | None:
        """The sequence to prefill next, if a row is free for it."""
        return self._waiting[0] if self._waiting and len(self._decoding) < self._rows else None

    def _decode(self) -> list[BatchSequence]:
        rows = list(self._decoding)
        return self._choose(rows, self._forward(self._cache, rows, [row.sequence.tokens[-1:] for row in rows]))

    def _prefill(self, row: Row, chunk: int) -> torch.Tensor:
        """Prefill the next `chunk` tokens of its prompt; return the logits after them."""
        tokens, logprobs = row.prompt[row.length :][:chunk], row.sequence.request.logprobs
        if logprobs is None or not logprobs.of_prompt:
            return self._forward(self._prompt_cache, [row], [tokens])
        following = row.prompt[row.length + 1 :][:chunk]
        logits = self._forward(self._prompt_cache, [row], [tokens], keep=len(tokens))
        record(logprobs, following, logits[0, : len(following)])
        return logits[:, -1]

    def _end_prefill(self, row: Row, logits: Callable[[], torch.Tensor]) -> list[BatchSequence]:
        """Move a sequence to decode if all of its prompt is prefilled. `logits` returns or raises what prefill did."""
        if row not in self._waiting:  # it has left meanwhile
            return []
        try:
            next_logits = logits()
            if row.length < len(row.prompt):
                return []
            self._cache.copy(self._prompt_cache, 0, len(self._decoding), row.length)
        except Exception as error:  # concerns only this sequence
            row.sequence.error = error
            self._waiting.remove(row)
            return [row.sequence]
        self._decoding.append(self._waiting.popleft())
        return self._choose([row], next_logits)

    def _forward(
        self, cache: RowCache, rows: list[Row], tokens: list[Sequence[int]], keep: int | None = None
    ) -> torch.Tensor:
        """Add equally many `tokens` to each of the first rows; return the logits as `next_logits` does."""
        logits = next_logits(self._model, cache, [row.length for row in rows], tokens, keep)
        for row in rows:
            row.length += len(tokens[0])
        return logits

    def _choose(self, rows: list[Row], logits: torch.Tensor) -> list[BatchSequence]:
        for row, row_logits in zip(rows, logits, strict=True):
            try:
                token = row.choose(row_logits.numpy(), row.sequence.tokens)
                if (logprobs := row.sequence.request.logprobs) is not None:
                    record(logprobs, [token], row_logits[None])
                row.sequence.tokens.append(token)
            except Exception as error:  # concerns only this sequence
                row.sequence.error = error
            if row.sequence.finished:
                self._free(row)
        return [row.sequence for row in rows]

    def _free(self, row: Row) -> None:
        index, last = self._decoding.index(row), self._decoding.pop()
        if last is not row:
            self._cache.copy(self._cache, len(self._decoding), index, last.length)
            self._decoding[index] = last
        self._cache.release(len(self._decoding))
