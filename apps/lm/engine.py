"""What the service asks of a way to run a model, so that another runtime is another implementation."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 takes the best token; `top_k` and `top_p` narrow what is drawn from; `seed` repeats it."""

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Generation:
    """What to generate: at most `most` tokens after `prompt`; one of `ends` is the last where it comes."""

    prompt: Sequence[int]
    most: int
    ends: frozenset[int] = frozenset()
    sampling: Sampling = Sampling()

    @property
    def size(self) -> int:
        """The most tokens of prompt and answer together: what room they need."""
        return len(self.prompt) + self.most


class Engine(Protocol):
    """Computes for any number of callers at once.

    `failure` says in one sentence why it can compute nothing any more; it is None as long as it can.
    """

    failure: str | None

    def generate(self, wanted: Generation, cancelled: Callable[[], bool]) -> Generator[int]:
        """Yield the answer's tokens as they are computed, up to its end or until `cancelled()`; any thread may call.

        Closing the iterator ends the computation as well. Raises what the computation raised.
        """
        ...
