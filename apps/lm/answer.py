"""One answer, as its text grows token by token, and the reason why it ended."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from apps.lm.engines.protocol import Engine, GenerationRequest
from apps.lm.metrics import TokenMeter
from apps.lm.text import StopText, TextStream
from apps.serving.identity import Identity


@dataclass
class Answer:
    """Call `run` once. The fields after `arrived` describe the answer so far, and are final when `run` has ended.

    `identity` is the model's. `tokens` includes the end token and those of a stop sequence. `arrived` and
    `first_token_time` are times of the monotonic clock in seconds.
    """

    identity: Identity
    engine: Engine
    decode: Callable[[Sequence[int]], str]
    meter: TokenMeter
    request: GenerationRequest
    stops: Sequence[str]
    arrived: float
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: Literal["stop", "length"] = "length"
    first_token_time: float | None = None
    _last_token_time: float = 0.0

    @property
    def usage(self) -> dict[str, int]:
        """Numbers of tokens so far."""
        prompt, completion = len(self.request.prompt), len(self.tokens)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def run(self, cancelled: Callable[[], bool]) -> Iterator[str]:
        """Yield the text in pieces, until it ends or until `cancelled()`."""
        for piece in self._pieces(cancelled):
            if piece:
                self.text += piece
                yield piece

    def _pieces(self, cancelled: Callable[[], bool]) -> Iterator[str]:
        text, stop = TextStream(self.decode, self.request.prompt), StopText(self.stops)
        with closing(self.engine.generate(self.request, cancelled)) as tokens:
            for token in tokens:
                self._count(token)
                if token in self.request.end_tokens:
                    self.finish_reason = "stop"
                else:
                    yield stop.push(text.push(token))
                if stop.matched:
                    self.finish_reason = "stop"
                    return
        yield stop.push(text.finish()) + stop.finish()

    def _count(self, token: int) -> None:
        now = time.monotonic()
        self.tokens.append(token)
        if self.first_token_time is None:
            self.first_token_time = now
            self.meter.first(len(self.request.prompt), now - self.arrived)
        else:
            self.meter.next(now - self._last_token_time)
        self._last_token_time = now
