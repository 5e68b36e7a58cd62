"""A sequence in a batch, whichever runtime computes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.lm.engine import Sampling


@dataclass(eq=False)
class Member:
    """Its prompt, how many tokens it may add, those that end it early, and how they are chosen."""

    prompt: Sequence[int]
    most: int
    ends: frozenset[int] = frozenset()
    sampling: Sampling = field(default_factory=Sampling)
    choose: Callable[[Any], int] | None = None  # set by a batch that chooses from logits itself
    error: Exception | None = None  # why it cannot go on
    tokens: list[int] = field(default_factory=list)  # added up to now
    length: int = 0  # tokens in the cache

    @property
    def finished(self) -> bool:
        """Whether nothing follows the tokens that it has."""
        ended = bool(self.tokens) and self.tokens[-1] in self.ends
        return ended or len(self.tokens) >= self.most or self.error is not None
