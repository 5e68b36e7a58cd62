"""OpenAI's streamed completions and chats: time to first token, inter-token latency and tokens."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadgen.targets.answers import completion_tokens, require
from loadgen.targets.lm import PROMPTS
from loadgen.targets.target import InvalidAnswer, Reading, Sample, StreamError, Target

MAX_LINE_BYTES = 1024 * 1024
MESSAGE_LENGTH = 200


class EventStream:
    """Reads server-sent events. The first token is the first chunk with content: roles and empty texts are none."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._times: list[float] = []
        self._texts: list[str] = []
        self._model: str | None = None
        self._tokens: int | None = None
        self.done = False

    def feed(self, data: bytes, seconds: float) -> None:
        self._rest += data
        if len(self._rest) > MAX_LINE_BYTES + len(data):
            raise InvalidAnswer(f"a line of over {MAX_LINE_BYTES // 1024} KiB in the stream", self._model)
        if b"\n" not in data:  # a line in many parts costs no search of the whole at each
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), seconds)

    def finish(self) -> Reading:
        if not self.done:
            raise InvalidAnswer("the stream ended without [DONE]", self._model)
        if not self._times:
            raise InvalidAnswer("no chunk of the stream has content", self._model)
        gaps = [later - earlier for earlier, later in zip(self._times, self._times[1:], strict=False)]
        text = "".join(self._texts)
        first = self._times[0]
        return Reading(self._model, completion_tokens=self._tokens, first_token=first, gaps=gaps, answer=text)

    def _event(self, data: bytearray, seconds: float) -> None:
        if data == b"[DONE]":
            self.done = True
            return
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidAnswer("an event of the stream is not JSON", self._model) from None
        if not isinstance(chunk, dict):
            raise InvalidAnswer("an event of the stream is not an object", self._model)
        if (error := chunk.get("error")) is not None:
            raise StreamError(_message(error), self._model)
        if isinstance(chunk.get("model"), str):
            self._model = chunk["model"]
        if isinstance(chunk.get("usage"), dict):
            self._tokens = completion_tokens(chunk["usage"], self._model)
        for content in filter(None, map(_content, require(chunk, "choices", list))):
            self._times.append(seconds)
            self._texts.append(content)


@dataclass(frozen=True)
class OpenAI(Target):
    """The model's name in the stream stands for its version."""

    name: str = "openai"
    path: str = "/v1/completions"
    samples: Sequence[Sample] = ()
    accept: str = "text/event-stream"

    def stream(self, sample: Sample) -> EventStream:
        return EventStream()


def completions(model: str, max_tokens: int, prompts: Sequence[str] = PROMPTS) -> OpenAI:
    """Return a target that asks /v1/completions to continue these prompts (greedy), in turn."""
    return OpenAI(samples=_samples(model, max_tokens, [{"prompt": prompt} for prompt in prompts]))


def chats(model: str, max_tokens: int, prompts: Sequence[str] = PROMPTS) -> OpenAI:
    """Return a target that sends these prompts to /v1/chat/completions as messages of a user, in turn."""
    messages = [{"messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
    return OpenAI(path="/v1/chat/completions", samples=_samples(model, max_tokens, messages))


def _samples(model: str, max_tokens: int, prompts: Sequence[dict[str, Any]]) -> tuple[Sample, ...]:
    common = {"model": model, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    common |= {"stream_options": {"include_usage": True}}
    return tuple(Sample(json.dumps(common | prompt).encode()) for prompt in prompts)


def _content(choice: Any) -> str | None:
    if not isinstance(choice, dict):
        raise InvalidAnswer("a choice of the stream is not an object")
    delta = choice.get("delta")
    content = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return content if isinstance(content, str) else None


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:MESSAGE_LENGTH].encode("utf-8", "replace").decode()
