"""How /v1/responses writes an answer: as a whole, and as the events of a stream."""

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from apps.lm.answer import Answer, Piece
from apps.lm.api.events import event
from apps.lm.api.openai.problems import error
from apps.lm.api.responses.output import Event, Output
from apps.lm.api.responses.schemas import ResponseRequest
from apps.lm.model import LanguageModel
from apps.serving.problems import Problem


class ResponseForm:
    """See `apps.lm.api.events.Form`. A stream tells how the answer's items begin, grow and end."""

    def __init__(self, body: ResponseRequest, answer: Answer, model: LanguageModel, request_id: str) -> None:
        self._body, self._answer = body, answer
        self._id = f"resp_{request_id}"
        reader = body.reader(model)
        self._parallel = reader.parallel
        self._output = Output(answer, reader, model.tokenizer, request_id)
        self._created = int(time.time())
        self._numbers = count()  # of events
        self._begun = False

    def whole(self) -> dict[str, Any]:
        """A Response."""
        self._output.piece(Piece(self._answer.text, len(self._answer.tokens)))
        self._output.end(self._status)
        return self._complete()

    def piece(self, index: int, piece: Piece) -> str:
        """The events that begin the answer, before its first piece, and the piece."""
        return self._write_all([*self._begin(), *self._output.piece(piece)])

    def end(self, index: int) -> str:
        """The events that end the answer; the last one has all of it."""
        events = [*self._begin(), *self._output.end(self._status)]
        return self._write_all([*events, (self._status, {"response": self._complete()})])

    def done(self) -> str:
        """Nothing: the whole answer is the last event."""
        return ""

    def error(self, problem: Problem) -> str:
        """An event `error`."""
        described = error(problem)
        return self._write("error", {name: described[name] for name in ("code", "message", "param")})

    @property
    def _status(self) -> str:
        """That of an answer that has ended."""
        return "incomplete" if self._answer.finish_reason == "length" else "completed"

    def _begin(self) -> list[Event]:
        if self._begun:
            return []
        self._begun = True
        response = {"response": self._response("in_progress", [])}
        return [("created", response), ("in_progress", response)]

    def _write_all(self, events: Sequence[Event]) -> str:
        return "".join(self._write(f"response.{name}", members) for name, members in events)

    def _write(self, name: str, members: dict[str, Any]) -> str:
        return event({"type": name, "sequence_number": next(self._numbers), **members}, name)

    def _usage(self) -> dict[str, Any]:
        usage = self._answer.usage
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        }

    def _complete(self) -> dict[str, Any]:
        details = {"reason": "max_output_tokens"} if self._status == "incomplete" else None
        return self._response(self._status, self._output.written, details, self._usage())

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
            "parallel_tool_calls": self._parallel,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": body.text.format.written},
            "tool_choice": body.written_choice,
            "tools": [tool.written for tool in body.tools],
            "top_logprobs": body.top_logprobs,
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "truncation": "disabled",
            "usage": usage,
        }
