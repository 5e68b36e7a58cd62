"""Computes the next tokens of many sequences in one forward pass of a model with a paged KV cache."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.openvino.chunk import BLOCK, Chunk
from apps.lm.engines.openvino.row import Row
from apps.lm.engines.sampling import Logits

# Tokens of prompts in one step, per thread: while others decode, which a long prompt must not delay, and otherwise.
CHUNK, LARGE_CHUNK = 8, 64
# Proposed tokens of one sequence in a step, and the tokens of all up to which a step has proposed ones. One takes 7% of
# a step for one sequence, but 40% of a sequence's share in a step for eight: then only safer ones are worth it.
PROPOSALS, MAX_WITH_PROPOSALS = 4, 24
FEW, FEWEST_OF_FEW, FEWEST = 2, 2, 8  # tokens that must have occurred before, for up to two sequences and for more
NO_LOGITS = np.empty((0, 0), np.float32)


class Model(Protocol):
    """See `PagedModel`."""

    def logits(self, chunks: Sequence[Chunk]) -> Logits: ...


class OpenVinoBatch:
    """See `apps.lm.engines.batching.Batch`. At most `rows` sequences are computed at once; any number may wait.

    Each step decodes all sequences, and prefills a small part of a prompt. If more sequences await prefill than decode,
    they form a group: decoding pauses until all their prompts are prefilled, in large chunks. Small chunks take twice
    as long, and a group that decoded from its first prompt on would wait for each further chunk.
    """

    def __init__(self, model: Model, rows: int, blocks: int, threads: int) -> None:
        self._model, self._rows, self._blocks = model, rows, blocks
        self._chunk, self._large_chunk = CHUNK * threads, LARGE_CHUNK * threads
        self._free_blocks = list(range(blocks))
        self._waiting: deque[Row] = deque()  # for a row and blocks
        self._computing: list[Row] = []  # in the order of arrival
        self._group: dict[Row, Logits] = {}  # with the logits after their prompts, empty before

    def join(self, sequence: BatchSequence) -> None:
        """Add a sequence; raise ValueError if it cannot fit into the KV cache."""
        row = Row(sequence)
        if not row.prefilling or row.block_count > self._blocks:
            prompt, new = len(sequence.request.prompt), sequence.request.max_tokens
            raise ValueError(f"{prompt} + {new} tokens do not fit in 1 to {self._blocks * BLOCK}.")
        self._waiting.append(row)

    def leave(self, sequence: BatchSequence) -> None:
        """Remove a sequence that has not finished, and free its blocks."""
        self._remove(next(row for row in [*self._computing, *self._waiting] if row.sequence is sequence))

    def step(self) -> list[BatchSequence]:
        """Compute one step; return the sequences that have more tokens or an error."""
        self._admit()
        prefilling = [row for row in self._computing if row.prefilling]
        decoding = [row for row in self._computing if row.decoding]
        if not self._group and len(prefilling) > len(decoding):
            self._group = dict.fromkeys(prefilling, NO_LOGITS)
        return self._prefill_group() if self._group else self._decode(decoding, prefilling)

    def _admit(self) -> None:
        """Give rows and blocks to those that wait, in the order of arrival."""
        while self._waiting and len(self._computing) < self._rows:
            if (count := self._waiting[0].block_count) > len(self._free_blocks):
                break
            row = self._waiting.popleft()
            row.blocks = [self._free_blocks.pop() for _ in range(count)]
            self._computing.append(row)

    def _prefill_group(self) -> list[BatchSequence]:
        """Prefill a large chunk; after the last one, choose the first tokens of the whole group."""
        computed = self._compute(_prompt_chunks(self._group, self._large_chunk))
        self._group |= {row: logits.copy() for row, logits in computed.items()}
        if any(row.prefilling for row in self._group):
            return []
        group, self._group = self._group, {}
        return self._choose(group)

    def _decode(self, decoding: Sequence[Row], prefilling: Sequence[Row]) -> list[BatchSequence]:
        chunks, spare = dict[Row, list[Chunk]](), MAX_WITH_PROPOSALS - len(decoding)
        fewest = FEWEST_OF_FEW if len(decoding) <= FEW else FEWEST
        for row in decoding:
            chunks[row] = row.decoding_chunks(max(0, min(PROPOSALS, spare)), fewest)
            spare -= len(chunks[row]) - 1
        return self._choose(self._compute(chunks | _prompt_chunks(prefilling, self._chunk)))

    def _compute(self, chunks: Mapping[Row, Sequence[Chunk]]) -> dict[Row, Logits]:
        """Add the chunks to the cache; return the logits from which the next tokens are chosen, per row.

        Their shape is (tokens, vocabulary), and they are only valid until the next call.
        """
        every_chunk = [chunk for parts in chunks.values() for chunk in parts]
        logits, results = self._model.logits(every_chunk) if every_chunk else NO_LOGITS, {}
        for row, parts in chunks.items():
            kept = sum(chunk.keep for chunk in parts)
            own, logits = logits[:kept], logits[kept:]
            if row.prefilling:
                row.take_prompt(parts[0], own)
                own = own[-1:]
            if not row.prefilling:
                results[row] = own
        return results

    def _choose(self, logits: Mapping[Row, Logits]) -> list[BatchSequence]:
        for row, row_logits in logits.items():
            try:
                row.choose(row_logits)
            except Exception as error:  # concerns only this sequence
                row.sequence.error = error
            if row.sequence.finished:
                self._remove(row)
        return [row.sequence for row in logits]

    def _remove(self, row: Row) -> None:
        (self._computing if row in self._computing else self._waiting).remove(row)
        self._group.pop(row, None)
        self._free_blocks += row.blocks


def _prompt_chunks(rows: Iterable[Row], tokens: int) -> dict[Row, list[Chunk]]:
    """The next parts of the prompts of `rows`, at most `tokens` tokens in all, in their order."""
    chunks = dict[Row, list[Chunk]]()
    for row in rows:
        if row.prefilling and (chunk := row.prompt_chunk(tokens)):
            chunks[row] = [chunk]
            tokens -= len(chunk.tokens)
    return chunks
