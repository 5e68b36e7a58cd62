"""How OpenAI's API writes an answer: as a whole, and as the events of a stream."""

import time
from typing import Any, ClassVar

from apps.lm.answer import Answer
from apps.lm.api.events import event
from apps.lm.api.openai.problems import error
from apps.lm.api.openai.schemas import StreamOptions
from apps.serving.problems import Problem

DONE = "data: [DONE]\n\n"


class CompletionForm:
    """An answer of /v1/completions; see `apps.lm.api.events.Form`."""

    id_prefix: ClassVar[str] = "cmpl-"
    whole_object: ClassVar[str] = "text_completion"
    chunk_object: ClassVar[str] = "text_completion"

    def __init__(self, answer: Answer, request_id: str, options: StreamOptions) -> None:
        self._answer, self._options = answer, options
        self._id, self._created = self.id_prefix + request_id, int(time.time())
        self._first = True  # whether the next chunk is the first

    def whole(self) -> dict[str, Any]:
        """A Completion or a Chat."""
        choice = self._choice(self._whole_content(self._answer.text), self._answer.finish_reason)
        return self._document(self.whole_object, [choice]) | {"usage": self._answer.usage}

    def piece(self, text: str) -> str:
        """A chunk."""
        return self._chunk(text, None)

    def end(self) -> str:
        """The chunk with the reason for the end, then usage if it was requested, then DONE."""
        last = self._chunk("", self._answer.finish_reason)
        usage = event(self._document(self.chunk_object, []) | {"usage": self._answer.usage})
        return last + (usage if self._options.include_usage else "") + DONE

    def error(self, problem: Problem) -> str:
        """An Error, then DONE."""
        return event({"error": error(problem)}) + DONE

    def _whole_content(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _chunk_content(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _chunk(self, text: str, finish_reason: str | None) -> str:
        usage = {}
        if self._options.include_usage:
            usage = {"usage": self._answer.usage if self._options.continuous_usage_stats else None}
        choice = self._choice(self._chunk_content(text), finish_reason)
        self._first = False
        return event(self._document(self.chunk_object, [choice]) | usage)

    def _choice(self, content: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        details = self._answer.finish_details if finish_reason else {}
        return {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason, **details}

    def _document(self, object_name: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": object_name,
            "created": self._created,
            "model": self._answer.identity.name,
            "choices": choices,
        }


class ChatForm(CompletionForm):
    """An answer of /v1/chat/completions. The first chunk of a stream also has the role."""

    id_prefix: ClassVar[str] = "chatcmpl-"
    whole_object: ClassVar[str] = "chat.completion"
    chunk_object: ClassVar[str] = "chat.completion.chunk"

    def _whole_content(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _chunk_content(self, text: str) -> dict[str, Any]:
        if self._first:
            return {"delta": {"role": "assistant", "content": text}}
        return {"delta": {"content": text} if text else {}}
