"""One answer while it comes into being: tokens in, text out, and why it ended."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from apps.lm.engine import Engine, Generation
from apps.lm.metrics import Meter
from apps.lm.text import StopText, TextStream


@dataclass
class Answer:
    """`run` it once; what it has found out is in the fields, and final when `run` has ended.

    `tokens` has all that were generated, the one that ends the answer and those of a stop sequence included.
    Times are of the monotonic clock, in seconds.
    """

    engine: Engine
    decode: Callable[[Sequence[int]], str]
    wanted: Generation
    stops: Sequence[str] = ()
    meter: Meter | None = None
    arrived: float = field(default_factory=time.monotonic)
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: Literal["stop", "length"] = "length"
    first_token_time: float | None = None
    _last_token_time: float = 0.0

    @property
    def usage(self) -> dict[str, int]:
        """Tokens so far."""
        prompt, completion = len(self.wanted.prompt), len(self.tokens)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def run(self, cancelled: Callable[[], bool]) -> Iterator[str]:
        """Yield the text piece by piece, until it ends or `cancelled()`."""
        for piece in self._pieces(cancelled):
            if piece:
                self.text += piece
                yield piece

    def _pieces(self, cancelled: Callable[[], bool]) -> Iterator[str]:
        characters, stop = TextStream(self.decode, self.wanted.prompt), StopText(self.stops)
        with closing(self.engine.generate(self.wanted, cancelled)) as tokens:
            for token in tokens:
                self._count(token)
                if token in self.wanted.ends:
                    self.finish_reason = "stop"
                else:
                    yield stop.push(characters.push(token))
                if stop.found:
                    self.finish_reason = "stop"
                    return
        yield stop.push(characters.finish()) + stop.finish()

    def _count(self, token: int) -> None:
        now = time.monotonic()
        self.tokens.append(token)
        if self.first_token_time is None:
            self.first_token_time = now
            if self.meter:
                self.meter.first(len(self.wanted.prompt), now - self.arrived)
        elif self.meter:
            self.meter.next(now - self._last_token_time)
        self._last_token_time = now
