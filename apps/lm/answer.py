"""One answer while it comes into being: tokens in, text out, and why it ended."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from apps.lm.engine import Generation
from apps.lm.text import StopText, TextStream


@dataclass
class Answer:
    """Iterate for its text, piece by piece; then `tokens` and `finish_reason` are final.

    `tokens` has all that were generated, the one that ends the answer and those of a stop sequence included.
    """

    wanted: Generation
    stops: Sequence[str]
    generated: Generator[int]  # the engine's tokens
    decode: Callable[[Sequence[int]], str]
    tokens: list[int] = field(default_factory=list)
    finish_reason: Literal["stop", "length"] = "length"

    def __iter__(self) -> Iterator[str]:
        characters, stop = TextStream(self.decode, self.wanted.prompt), StopText(self.stops)
        with closing(self.generated) as generated:
            for token in generated:
                self.tokens.append(token)
                if token not in self.wanted.ends and (piece := stop.push(characters.push(token))):
                    yield piece
                if stop.found:
                    break
            else:
                if rest := stop.push(characters.finish()) + stop.finish():
                    yield rest
        if stop.found or (self.tokens and self.tokens[-1] in self.wanted.ends):
            self.finish_reason = "stop"
