"""What an answer of /v1/responses consists of, a message or a call, and the events that tell how it grows."""

from typing import Any, Protocol

from apps.lm.answer import Answer, Piece
from apps.lm.api.openai.calls import Call
from apps.lm.api.openai.logprobs import chat_logprobs
from apps.lm.engines.protocol import Tokenizer

Event = tuple[str, dict[str, Any]]  # (name without "response.", members)


class Output(Protocol):
    """The one item of an answer."""

    def begin(self) -> list[Event]:
        """The events before the first piece."""

    def piece(self, piece: Piece) -> list[Event]:
        """The events of a piece."""

    def end(self, status: str) -> list[Event]:
        """The events after the last piece, by which the item has this `status`."""

    def whole(self, status: str) -> list[dict[str, Any]]:
        """The item; none if it has not begun."""


class MessageOutput:
    """A text."""

    def __init__(self, answer: Answer, tokenizer: Tokenizer, request_id: str) -> None:
        self._answer, self._tokenizer = answer, tokenizer
        self._id = f"msg_{request_id}"
        self._place = {"item_id": self._id, "output_index": 0, "content_index": 0}
        self._tokens = 0  # those that were written

    def begin(self) -> list[Event]:
        """See `Output`."""
        return [
            ("output_item.added", {"output_index": 0, "item": self._message("in_progress", [])}),
            ("content_part.added", {"part": self._part("", []), **self._place}),
        ]

    def piece(self, piece: Piece) -> list[Event]:
        """See `Output`."""
        logprobs = self._logprobs(self._tokens, piece.tokens)
        self._tokens = piece.tokens
        return [("output_text.delta", {"delta": piece.text, "logprobs": logprobs, **self._place})]

    def end(self, status: str) -> list[Event]:
        """See `Output`."""
        (message,) = self.whole(status)
        (part,) = message["content"]
        return [
            ("output_text.done", {"text": part["text"], "logprobs": part["logprobs"], **self._place}),
            ("content_part.done", {"part": part, **self._place}),
            ("output_item.done", {"output_index": 0, "item": message}),
        ]

    def whole(self, status: str) -> list[dict[str, Any]]:
        """See `Output`."""
        return [self._message(status, [self._part(self._answer.text, self._logprobs())])]

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _part(self, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _logprobs(self, start: int = 0, end: int | None = None) -> list[dict[str, Any]]:
        """Those of the answer's tokens from `start` to `end`; empty unless they were requested."""
        recorded = self._answer.recorded(start, len(self._answer.tokens) if end is None else end)
        return chat_logprobs(recorded, self._tokenizer)


class CallOutput:
    """A call. Its item begins when the name of the function is known."""

    def __init__(self, answer: Answer, call: Call, request_id: str) -> None:
        self._answer, self._call = answer, call
        self._id = f"fc_{request_id}"
        self._begun = False

    def begin(self) -> list[Event]:
        """See `Output`."""
        return []

    def piece(self, piece: Piece) -> list[Event]:
        """See `Output`."""
        return self._grow(self._call.push(piece.text))

    def end(self, status: str) -> list[Event]:
        """See `Output`."""
        events = self._grow(self._call.finish())
        if not self._begun:
            return events
        named = {"name": self._call.name, "arguments": self._call.arguments}
        return [
            *events,
            ("function_call_arguments.done", {"item_id": self._id, "output_index": 0, **named}),
            ("output_item.done", {"output_index": 0, "item": self._item(status, self._call.arguments)}),
        ]

    def whole(self, status: str) -> list[dict[str, Any]]:
        """See `Output`."""
        if not self._begun:
            self._grow(self._call.push(self._answer.text) + self._call.finish())
        return [self._item(status, self._call.arguments)] if self._begun else []

    def _grow(self, arguments: str) -> list[Event]:
        events: list[Event] = []
        if self._call.name and not self._begun:
            self._begun = True
            events.append(("output_item.added", {"output_index": 0, "item": self._item("in_progress", "")}))
        if arguments:
            members = {"item_id": self._id, "output_index": 0, "delta": arguments}
            events.append(("function_call_arguments.delta", members))
        return events

    def _item(self, status: str, arguments: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "function_call",
            "status": status,
            "call_id": self._call.id,
            "name": self._call.name,
            "arguments": arguments,
        }
