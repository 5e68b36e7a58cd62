"""How answers look in OpenAI's API: whole, as events of a stream, and as errors."""

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from apps.lm.answer import Answer
from apps.lm.events import event
from apps.serving.problems import Problem

DONE = "data: [DONE]\n\n"


class OpenAIProblem(Problem):
    """A problem with the `code` that OpenAI's clients know it by."""

    def __init__(self, status: int, code: str, detail: str, parameter: str) -> None:
        super().__init__(status, detail, errors=[{"pointer": f"#/{parameter}", "detail": detail}])
        self.code = code


def error(problem: Problem) -> dict[str, Any]:
    """What OpenAI's clients look for in an error's `error`."""
    (first, *_) = [*problem.errors, {"pointer": "#"}]
    return {
        "message": problem.detail,
        "type": "server_error" if problem.status >= 500 else "invalid_request_error",
        "param": first["pointer"].removeprefix("#/").replace("/", ".").removeprefix("#") or None,
        "code": getattr(problem, "code", None),
    }


@dataclass
class Completion:
    """An answer of /v1/completions; as an `apps.lm.events.Form` it is the events of its stream."""

    prefix: ClassVar[str] = "cmpl-"
    kinds: ClassVar[tuple[str, str]] = "text_completion", "text_completion"  # whole, and in a stream

    answer: Answer
    model: str
    request_id: str
    counted: bool = False  # whether the stream tells its usage
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self) -> dict[str, Any]:
        """The document, once the answer is complete."""
        return self._document(self.kinds[0], [self._choice(self._all(), self.answer.finish_reason)]) | self._usage()

    def piece(self, text: str) -> str:
        return self._chunk(self._some(text), None)

    def end(self) -> str:
        last = self._chunk(self._some(""), self.answer.finish_reason)
        return last + (event(self._document(self.kinds[1], []) | self._usage()) if self.counted else "") + DONE

    def error(self, problem: Problem) -> str:
        return event({"error": error(problem)}) + DONE

    def _all(self) -> dict[str, Any]:
        return {"text": self.answer.text}

    def _some(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _chunk(self, content: dict[str, Any], reason: str | None) -> str:
        usage = {"usage": None} if self.counted else {}
        return event(self._document(self.kinds[1], [self._choice(content, reason)]) | usage)

    def _choice(self, content: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"index": 0, **content, "logprobs": None, "finish_reason": reason}

    def _document(self, kind: str, choices: list[dict]) -> dict[str, Any]:
        about = {"id": self.prefix + self.request_id, "object": kind, "created": self.created, "model": self.model}
        return about | {"choices": choices}

    def _usage(self) -> dict[str, Any]:
        return {"usage": self.answer.usage}


@dataclass
class Chat(Completion):
    """An answer of /v1/chat/completions."""

    prefix: ClassVar[str] = "chatcmpl-"
    kinds: ClassVar[tuple[str, str]] = "chat.completion", "chat.completion.chunk"

    begun: bool = False  # whether the stream has said whose turn it is

    def _all(self) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": self.answer.text, "refusal": None}}

    def _some(self, text: str) -> dict[str, Any]:
        turn = {} if self.begun else {"role": "assistant", "content": text}
        self.begun = True
        return {"delta": turn or ({"content": text} if text else {})}
