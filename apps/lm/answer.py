"""One answer, as its text grows token by token, and the reason why it ended."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from apps.lm.engines.protocol import Engine, GenerationRequest, Logprobs, Sampling, TokenLogprob
from apps.lm.metrics import TokenMeter
from apps.lm.text import StopText, TextStream
from apps.serving.identity import Identity

LOG = logging.getLogger("lm")
LATE = (
    "an answer ended at the deadline with what it had: raise REQUEST_TIMEOUT_SECONDS or the CPU limit, "
    "or lower MAX_TOTAL_TOKENS or MAX_BATCH_TOTAL_TOKENS"
)


@dataclass(frozen=True)
class AnswerOptions:
    """How an answer is generated, and when it ends.

    It has at most `max_tokens` tokens (None: as many as fit beside the prompt; 0: only the prompt is read). It ends
    before any of `stops` and after an end token of the model, but not before it has `min_tokens` tokens. With
    `ignore_end`, end tokens do not end it.
    """

    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stops: Sequence[str] = ()
    min_tokens: int = 0
    ignore_end: bool = False
    logprobs: Logprobs | None = None


class Piece(NamedTuple):
    """Text of an answer, and the number of the answer's tokens up to its end."""

    text: str
    tokens: int


@dataclass
class Answer:
    """Call `run` once. The fields after `empty` describe the answer so far, and are final when `run` has ended.

    `identity` is the model's. An `empty` answer only reads the prompt. `tokens` includes the end token and those of a
    stop sequence. `arrived`, `deadline` and `first_token_time` are times of the monotonic clock in seconds. From the
    deadline on, an answer ends with the tokens that it has, once it has one; `late` says that it did.
    """

    identity: Identity
    engine: Engine
    decode: Callable[[Sequence[int]], str]
    meter: TokenMeter
    request: GenerationRequest
    stops: Sequence[str]
    arrived: float
    deadline: float = math.inf
    empty: bool = False
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: Literal["stop", "length"] = "length"
    late: bool = False
    first_token_time: float | None = None
    _last_token_time: float = 0.0

    @property
    def usage(self) -> dict[str, int]:
        """Numbers of tokens so far."""
        return self.usage_at(len(self.tokens))

    def usage_at(self, completion: int) -> dict[str, int]:
        """Numbers of tokens when the answer had `completion`."""
        prompt = len(self.request.prompt)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    @property
    def finish_details(self) -> dict[str, str]:
        """What documents say beside `finish_reason`, which is length: the deadline has ended the answer, if it did."""
        return {"stop_reason": "deadline"} if self.late else {}

    def recorded(self, start: int, end: int) -> Sequence[TokenLogprob]:
        """The log-probabilities of the answer's tokens from `start` to `end`; empty unless they were requested."""
        logprobs = self.request.logprobs
        if logprobs is None:
            return []
        prompt = len(self.request.prompt) - 1 if logprobs.of_prompt else 0
        return logprobs.tokens[prompt + start : prompt + end]

    def run(self, receive: Callable[[Piece], None], cancelled: Callable[[], bool]) -> None:
        """Hand the text to `receive` in pieces, until it ends or until `cancelled()`.

        `receive` must be quick: it runs in a thread that computes for all answers.
        """
        text, stop = TextStream(self.decode, self.request.prompt), StopText(self.stops)

        def send(new_text: str) -> None:
            if new_text:
                self.text += new_text
                receive(Piece(new_text, len(self.tokens)))

        def push(token: int) -> bool:
            if self.empty:
                return True
            self._count(token)
            if token in self.request.end_tokens:
                self.finish_reason = "stop"
            elif len(self.tokens) <= self.request.min_tokens:
                send(text.push(token))
            else:
                send(stop.push(text.push(token)))
            if stop.matched:
                self.finish_reason = "stop"
            return stop.matched

        self.engine.generate(self.request, push, lambda: cancelled() or self._is_over())
        if not self.empty and not stop.matched:
            self._note_end(cancelled())
            send(stop.push(text.finish()) + stop.finish())

    def _note_end(self, cancelled: bool) -> None:
        complete = self.finish_reason == "stop" or len(self.tokens) == self.request.max_tokens
        if complete or cancelled:
            return
        self.late = True
        seconds = round(time.monotonic() - self.arrived, 3)
        tokens = {"tokens": len(self.tokens), "max_tokens": self.request.max_tokens}
        LOG.warning(LATE, extra={"seconds": seconds, **tokens})

    def _is_over(self) -> bool:
        return bool(self.tokens) and time.monotonic() >= self.deadline

    def _count(self, token: int) -> None:
        now = time.monotonic()
        self.tokens.append(token)
        if self.first_token_time is None:
            self.first_token_time = now
            self.meter.first(len(self.request.prompt), now - self.arrived)
        else:
            self.meter.next(now - self._last_token_time)
        self._last_token_time = now
