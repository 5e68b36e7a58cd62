"""What an answer of /v1/responses consists of, messages and calls, and the events that tell how it grows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from apps.lm.answer import Answer, Piece
from apps.lm.api.openai.logprobs import chat_logprobs
from apps.lm.api.openai.reading import Call, CallPiece, Part, Reader
from apps.lm.engines.protocol import Tokenizer

Event = tuple[str, dict[str, Any]]  # (name without "response.", members)
Logprobs = list[dict[str, Any]]


class Item(ABC):
    """Number `index` of an answer's items."""

    prefix: ClassVar[str]

    def __init__(self, request_id: str, index: int) -> None:
        self._id, self._status = f"{self.prefix}_{request_id}_{index}", "in_progress"
        self._index = {"output_index": index}
        self._place = {"item_id": self._id, **self._index}

    @property
    @abstractmethod
    def written(self) -> dict[str, Any]:
        """The item as far as it has come."""

    def begin(self) -> list[Event]:
        """The events before the first piece."""
        return [("output_item.added", {**self._index, "item": self.written})]

    @abstractmethod
    def grow(self, text: str, logprobs: Logprobs) -> list[Event]:
        """The events of a piece of its text or arguments; `logprobs` are those of its tokens, if requested."""

    def end(self, status: str) -> list[Event]:
        """The events after the last piece, by which the item has this `status`."""
        self._status = status
        return [("output_item.done", {**self._index, "item": self.written})]


class MessageItem(Item):
    """A text."""

    prefix = "msg"

    def __init__(self, request_id: str, index: int) -> None:
        super().__init__(request_id, index)
        self._part = {"content_index": 0}
        self._text, self._logprobs = "", list[dict[str, Any]]()

    @property
    def written(self) -> dict[str, Any]:
        """See `Item`."""
        content = [] if self._status == "in_progress" else [self._content]
        return {"id": self._id, "type": "message", "status": self._status, "role": "assistant", "content": content}

    def begin(self) -> list[Event]:
        """See `Item`."""
        return [*super().begin(), ("content_part.added", {"part": self._content, **self._place, **self._part})]

    def grow(self, text: str, logprobs: Logprobs) -> list[Event]:
        """See `Item`."""
        self._text += text
        self._logprobs += logprobs
        delta = {"delta": text, "logprobs": logprobs}
        return [("output_text.delta", {**delta, **self._place, **self._part})] if text else []

    def end(self, status: str) -> list[Event]:
        """See `Item`."""
        place = self._place | self._part
        return [
            ("output_text.done", {"text": self._text, "logprobs": self._logprobs, **place}),
            ("content_part.done", {"part": self._content, **place}),
            *super().end(status),
        ]

    @property
    def _content(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": [*self._logprobs]}


class CallItem(Item):
    """A call."""

    prefix = "fc"

    def __init__(self, request_id: str, index: int, call: Call) -> None:
        super().__init__(request_id, index)
        self._call = call
        self._arguments = ""  # those that were written

    @property
    def written(self) -> dict[str, Any]:
        """See `Item`."""
        call = {"call_id": self._call.id, "name": self._call.name, "arguments": self._arguments}
        return {"id": self._id, "type": "function_call", "status": self._status, **call}

    def grow(self, text: str, logprobs: Logprobs) -> list[Event]:
        """See `Item`."""
        self._arguments += text
        return [("function_call_arguments.delta", {**self._place, "delta": text})] if text else []

    def end(self, status: str) -> list[Event]:
        """See `Item`."""
        named = {"name": self._call.name, "arguments": self._arguments}
        return [("function_call_arguments.done", {**self._place, **named}), *super().end(status)]


class Output:
    """The items of an answer, as `reader` divides it."""

    def __init__(self, answer: Answer, reader: Reader, tokenizer: Tokenizer, request_id: str) -> None:
        self._answer, self._reader, self._tokenizer, self._request_id = answer, reader, tokenizer, request_id
        self._items: list[Item] = []
        self._tokens = 0  # those that were written

    @property
    def written(self) -> list[dict[str, Any]]:
        """The items as far as they have come."""
        return [item.written for item in self._items]

    def piece(self, piece: Piece) -> list[Event]:
        """The events of a piece of the answer."""
        return self._grow(self._reader.push(piece.text), piece.tokens)

    def end(self, status: str) -> list[Event]:
        """The events after the last piece, by which the last item has this `status`."""
        tokens = len(self._answer.tokens)
        events = self._grow(self._reader.finish(), tokens)
        if self._in_message or not (self._items or self._reader.demands):
            events += self._grow([""], tokens)  # which has the end token; without a call there is a message, if empty
        return [*events, *self._end(status)]

    @property
    def _in_message(self) -> bool:
        return bool(self._items) and isinstance(self._items[-1], MessageItem)

    def _grow(self, parts: Sequence[Part], tokens: int) -> list[Event]:
        """The events of `parts`, which end with this number of the answer's tokens."""
        events: list[Event] = []
        for part in parts:
            if isinstance(part, CallPiece):
                events += self._begin(CallItem(self._request_id, len(self._items), part.call)) if part.first else []
                text = part.arguments
            else:
                events += [] if self._in_message else self._begin(MessageItem(self._request_id, len(self._items)))
                text = part
            events += self._items[-1].grow(text, self._logprobs(tokens))
        return events

    def _begin(self, item: Item) -> list[Event]:
        """End the item before, and begin `item`."""
        events = self._end("completed")
        self._items.append(item)
        return [*events, *item.begin()]

    def _end(self, status: str) -> list[Event]:
        return self._items[-1].end(status) if self._items else []

    def _logprobs(self, end: int) -> Logprobs:
        """Those of the tokens that were not written, up to number `end`; empty unless they were requested."""
        start, self._tokens = self._tokens, end
        return chat_logprobs(self._answer.recorded(start, end), self._tokenizer)
