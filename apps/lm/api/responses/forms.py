"""How /v1/responses writes an answer: as a whole, and as the events of a stream."""

import time
from itertools import count
from typing import Any

from apps.lm.answer import Answer, Piece
from apps.lm.api.events import event
from apps.lm.api.openai.logprobs import chat_logprobs
from apps.lm.api.openai.problems import error
from apps.lm.api.responses.schemas import ResponseRequest
from apps.lm.engines.protocol import Tokenizer
from apps.serving.problems import Problem


class ResponseForm:
    """See `apps.lm.api.events.Form`. A stream tells how the answer's one message begins, grows and ends."""

    def __init__(self, body: ResponseRequest, answer: Answer, tokenizer: Tokenizer, request_id: str) -> None:
        self._body, self._answer, self._tokenizer = body, answer, tokenizer
        self._id, self._message_id = f"resp_{request_id}", f"msg_{request_id}"
        self._created = int(time.time())
        self._numbers = count()  # of events
        self._begun, self._tokens = False, 0  # the tokens that were written

    def whole(self) -> dict[str, Any]:
        """A Response."""
        cut = self._answer.finish_reason == "length"
        return self._response(
            "incomplete" if cut else "completed",
            [self._message("incomplete" if cut else "completed", [self._whole_part()])],
            incomplete_details={"reason": "max_output_tokens"} if cut else None,
            usage=self._usage(),
        )

    def piece(self, index: int, piece: Piece) -> str:
        """The events that begin the answer, before its first piece, and the piece."""
        logprobs = self._logprobs(self._tokens, piece.tokens)
        self._tokens = piece.tokens
        return self._begin() + self._event("output_text.delta", delta=piece.text, logprobs=logprobs, **self._place())

    def end(self, index: int) -> str:
        """The events that end the answer; the last one has all of it."""
        whole, place = self.whole(), self._place()
        (message,) = whole["output"]
        return "".join(
            [
                self._begin(),
                self._event("output_text.done", text=self._answer.text, logprobs=self._logprobs(), **place),
                self._event("content_part.done", part=self._whole_part(), **place),
                self._event("output_item.done", output_index=0, item=message),
                self._event(whole["status"], response=whole),
            ]
        )

    def done(self) -> str:
        """Nothing: the whole answer is the last event."""
        return ""

    def error(self, problem: Problem) -> str:
        """An event `error`."""
        described = error(problem)
        return self._write("error", {name: described[name] for name in ("code", "message", "param")})

    def _begin(self) -> str:
        if self._begun:
            return ""
        self._begun = True
        response = self._response("in_progress", [])
        return "".join(
            [
                self._event("created", response=response),
                self._event("in_progress", response=response),
                self._event("output_item.added", output_index=0, item=self._message("in_progress", [])),
                self._event("content_part.added", part=self._part("", []), **self._place()),
            ]
        )

    def _event(self, name: str, **members: Any) -> str:
        return self._write(f"response.{name}", members)

    def _write(self, name: str, members: dict[str, Any]) -> str:
        return event({"type": name, "sequence_number": next(self._numbers), **members}, name)

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": 0, "content_index": 0}

    def _whole_part(self) -> dict[str, Any]:
        return self._part(self._answer.text, self._logprobs())

    def _part(self, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _logprobs(self, start: int = 0, end: int | None = None) -> list[dict[str, Any]]:
        """Those of the answer's tokens from `start` to `end`; empty unless they were requested."""
        recorded = self._answer.recorded(start, len(self._answer.tokens) if end is None else end)
        return chat_logprobs(recorded, self._tokenizer)

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._message_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _usage(self) -> dict[str, Any]:
        usage = self._answer.usage
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        }

    def _response(
        self,
        status: str,
        output: list[dict[str, Any]],
        incomplete_details: dict[str, str] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        body = self._body
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": incomplete_details,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": self._answer.identity.name,
            "output": output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": body.text.format.written},
            "tool_choice": "none",
            "tools": [],
            "top_logprobs": body.top_logprobs,
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "truncation": "disabled",
            "usage": usage,
        }
