"""One choice among the answers: its text and log-probabilities, whole or piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from apps.lm.answer import Answer, Piece
from apps.lm.api.openai.logprobs import CompletionLogprobs, chat_logprobs
from apps.lm.api.openai.messages import written_call
from apps.lm.api.openai.reading import CallPiece, Part
from apps.lm.api.openai.schemas import OpenAIRequest
from apps.lm.engines.protocol import TokenLogprob
from apps.lm.model import LanguageModel


class Choice(ABC):
    """Writes an answer once, at once by `whole` or in chunks. `tokens` is the number of tokens that were written."""

    def __init__(self, body: OpenAIRequest, answer: Answer, model: LanguageModel) -> None:
        self.answer, self.tokens = answer, 0
        self._body, self._model = body, model
        self._begun = False

    @property
    def finish(self) -> dict[str, str]:
        """The members that say why the answer has ended."""
        return {"finish_reason": self.answer.finish_reason, **self.answer.finish_details}

    @abstractmethod
    def whole(self) -> dict[str, Any]:
        """The members of the choice for the whole answer."""

    @abstractmethod
    def chunk(self, piece: Piece) -> dict[str, Any]:
        """The members of the choice for its next piece."""

    def last_chunk(self) -> dict[str, Any]:
        """The members of the choice for the end of its stream."""
        return self.chunk(Piece("", len(self.answer.tokens)))

    def mean_logprob(self) -> float:
        """The mean log-probability of the answer's tokens."""
        logprobs = [entry.logprob for entry in self.answer.recorded(0, len(self.answer.tokens))]
        return sum(logprobs) / max(1, len(logprobs))

    def _next_tokens(self, end: int) -> Sequence[TokenLogprob]:
        """What is recorded of the tokens after those that were written, up to number `end`."""
        start, self.tokens = self.tokens, end
        return self.answer.recorded(start, end)


class CompletionChoice(Choice):
    """Of /v1/completions. With `echo` it begins with the prompt."""

    def __init__(self, body: OpenAIRequest, answer: Answer, model: LanguageModel) -> None:
        super().__init__(body, answer, model)
        self._writer = CompletionLogprobs(model.tokenizer)

    def whole(self) -> dict[str, Any]:
        """See `Choice`."""
        return self.chunk(Piece(self.answer.text, len(self.answer.tokens)))

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """See `Choice`."""
        echoed: list[TokenLogprob | int] = []
        text = piece.text
        if self._body.echoes and not self._begun:
            prompt, logprobs = self.answer.request.prompt, self.answer.request.logprobs
            text = self._model.tokenizer.decode(prompt) + text
            echoed = [prompt[0], *(logprobs.tokens[: len(prompt) - 1] if logprobs else [])]
        self._begun = True
        tokens = [*echoed, *self._next_tokens(piece.tokens)]
        return {"text": text, "logprobs": None if self._body.top is None else self._writer.write(tokens)}


class ChatChoice(Choice):
    """Of /v1/chat/completions: a text, calls, or both."""

    def __init__(self, body: OpenAIRequest, answer: Answer, model: LanguageModel) -> None:
        super().__init__(body, answer, model)
        self._reader = body.reader(model)
        self._called = False  # whether a call has begun

    @property
    def finish(self) -> dict[str, str]:
        """See `Choice`."""
        complete = self._called and self.answer.finish_reason == "stop"
        return {"finish_reason": "tool_calls"} if complete else super().finish

    def whole(self) -> dict[str, Any]:
        """See `Choice`."""
        text, pieces = self._divide(self._reader.push(self.answer.text) + self._reader.finish())
        calls = {piece.call.id: piece.call for piece in pieces}.values()
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if calls or self._reader.demands:
            written = [written_call(call.id, call.name, call.arguments) for call in calls]
            message |= {"content": text or None, "tool_calls": written or None}
        return {"message": message, "logprobs": self._logprobs(len(self.answer.tokens))}

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """See `Choice`. The first chunk also has the role; the first of a call, its id and the function's name."""
        return self._chunk(self._reader.push(piece.text), piece.tokens)

    def last_chunk(self) -> dict[str, Any]:
        """See `Choice`."""
        return self._chunk(self._reader.finish(), len(self.answer.tokens))

    def _chunk(self, parts: Sequence[Part], end: int) -> dict[str, Any]:
        first, self._begun = not self._begun, True
        text, pieces = self._divide(parts)
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if first or text:
            delta["content"] = None if self._reader.demands else text
        if pieces:
            delta["tool_calls"] = [_write_piece(piece) for piece in pieces]
        return {"delta": delta, "logprobs": self._logprobs(end)}

    def _divide(self, parts: Sequence[Part]) -> tuple[str, list[CallPiece]]:
        pieces = [part for part in parts if isinstance(part, CallPiece)]
        self._called = self._called or bool(pieces)
        return "".join(part for part in parts if isinstance(part, str)), pieces

    def _logprobs(self, end: int) -> dict[str, Any] | None:
        tokens = self._next_tokens(end)
        if self._body.top is None:
            return None
        return {"content": chat_logprobs(tokens, self._model.tokenizer), "refusal": None}


def _write_piece(piece: CallPiece) -> dict[str, Any]:
    call = piece.call
    if piece.first:
        return {"index": call.index, **written_call(call.id, call.name, piece.arguments)}
    return {"index": call.index, "function": {"arguments": piece.arguments}}
