"""Computes the same logits in several ways, and prints how much they differ, as JSON.

`python -m apps.lm.tests.engines.openvino.exactness FOLDER THREADS`, in an environment with OpenVINO.
"""

import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from apps.lm.engines.openvino.chunk import Chunk
from apps.lm.engines.openvino.paged_model import PagedModel

PROMPT, TEXT = 150, 24  # tokens
BLOCKS = list(range(10))
OTHERS = [[10 * other + block for block in BLOCKS] for other in range(1, 5)]


class Ways:
    """Ways to compute the logits after each token of a prompt and of a text after it."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._model = PagedModel(folder, 50, threads)
        tokens = random.Random(1)
        self._prompt = [tokens.randrange(5, 40_000) for _ in range(PROMPT)]
        self._text = [tokens.randrange(5, 40_000) for _ in range(TEXT)]

    def prefill(self, sizes: Iterable[int], others: int = 0) -> np.ndarray:
        """The logits of the prompt, in chunks of `sizes` tokens, beside the prompts of others."""
        logits, start = [], 0
        for size in sizes:
            company = [Chunk(self._prompt[: size + 1], 0, blocks, 1) for blocks in OTHERS[:others]]
            chunk = Chunk(self._prompt[start : start + size], start, BLOCKS, size)
            logits.append(self._model.logits([*company, chunk])[others:].copy())
            start += size
        assert start == PROMPT
        return np.concatenate(logits)

    def decode(self, at_once: int = 1, others: int = 0, wrong: int = 0) -> np.ndarray:
        """The logits of the text, `at_once` tokens in a step, beside others that decode and wrong proposals."""
        self.prefill([PROMPT])
        logits = []
        for start in range(0, TEXT, at_once):
            right = self._text[start : start + at_once]
            company = [Chunk([start + 7], start, blocks, 1) for blocks in OTHERS[:others]]
            own = [
                Chunk([token], PROMPT + start + index, BLOCKS, 1) for index, token in enumerate([*right, *[9] * wrong])
            ]
            logits.append(self._model.logits([*company, *own])[others : others + len(right)].copy())
        return np.concatenate(logits)


def main() -> None:
    """Print the largest difference of each way."""
    ways = Ways(Path(sys.argv[1]), int(sys.argv[2]))
    whole, alone = ways.prefill([PROMPT]), ways.decode()
    others = {
        "again": (whole, ways.prefill([PROMPT])),
        "chunks": (whole, ways.prefill([16] * 9 + [6])),
        "odd chunks": (whole, ways.prefill([7, 2, 33, 108])),
        "chunks in company": (whole, ways.prefill([30] * 5, others=3)),
        "decoded again": (alone, ways.decode()),
        "decoded in company": (alone, ways.decode(others=4)),
        "with right proposals": (alone, ways.decode(at_once=3)),
        "with wrong proposals in company": (alone, ways.decode(at_once=2, others=1, wrong=2)),
    }
    print(json.dumps({name: float(np.abs(one - other).max()) for name, (one, other) in others.items()}))


if __name__ == "__main__":
    main()
