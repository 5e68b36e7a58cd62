"""A model for the tests of the batch: its cache keeps the tokens, and each next token depends on all before it."""

from collections.abc import Callable, Sequence

import numpy as np

from apps.lm.engines.openvino.chunk import BLOCK, Chunk

VOCABULARY = 50
Next = Callable[[Sequence[int]], int]


def varied(tokens: Sequence[int]) -> int:
    """A next token that depends on every token before it, and on their order."""
    value = 7
    for token in tokens:
        value = (value * 31 + token) % 10_007
    return value % VOCABULARY


def repeating(tokens: Sequence[int]) -> int:
    """A next token that repeats with every fifth."""
    return tokens[-5] if len(tokens) >= 5 else varied(tokens)


class CountingModel:
    """See `PagedModel`. `calls` has the chunks of each call."""

    def __init__(self, blocks: int, next_token: Next) -> None:
        self._cache, self._next_token = np.full(blocks * BLOCK, -1), next_token
        self.calls: list[Sequence[Chunk]] = []
        self.failure: Exception | None = None
        self._logits = np.empty(0, np.float32)

    def logits(self, chunks: Sequence[Chunk]) -> np.ndarray:
        """Write all chunks to the cache, then read whole sequences from it."""
        if self.failure:
            raise self.failure
        self.calls.append(chunks)
        self._logits.fill(np.nan)  # they were valid until this call
        for chunk in chunks:
            for index, token in enumerate(chunk.tokens, chunk.length):
                self._cache[self._slot(chunk, index)] = token
        kept = [
            self._read(chunk, chunk.length + len(chunk.tokens) - chunk.keep + 1 + index)
            for chunk in chunks
            for index in range(chunk.keep)
        ]
        self._logits = np.zeros((len(kept), VOCABULARY), np.float32)
        for index, tokens in enumerate(kept):
            self._logits[index, self._next_token(tokens)] = 5
        return self._logits

    def _read(self, chunk: Chunk, count: int) -> list[int]:
        return [int(self._cache[self._slot(chunk, index)]) for index in range(count)]

    def _slot(self, chunk: Chunk, index: int) -> int:
        return chunk.blocks[index // BLOCK] * BLOCK + index % BLOCK


def plain(prompt: Sequence[int], count: int, next_token: Next) -> list[int]:
    """The answer of `count` tokens, computed one after another."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]
