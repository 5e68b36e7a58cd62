"""What the batch hands to the model."""

from collections.abc import Sequence
from dataclasses import dataclass

BLOCK = 32  # tokens of a block of the KV cache; fixed by OpenVINO's CPU plugin


@dataclass(frozen=True)
class Chunk:
    """Tokens of one sequence that follow its first `length` tokens; `blocks` are those of the whole sequence.

    Logits are computed after the last `keep` tokens.
    """

    tokens: Sequence[int]
    length: int
    blocks: Sequence[int]
    keep: int
