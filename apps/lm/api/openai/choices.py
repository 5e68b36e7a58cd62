"""One choice among the answers: its text and log-probabilities, whole or piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from apps.lm.answer import Answer, Piece
from apps.lm.api.openai.calls import Call
from apps.lm.api.openai.logprobs import CompletionLogprobs, chat_logprobs
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
    """Of /v1/chat/completions: a text, or a call."""

    def __init__(self, body: OpenAIRequest, answer: Answer, model: LanguageModel) -> None:
        super().__init__(body, answer, model)
        self._call = Call(body.called) if body.called else None
        self._named = False  # whether a chunk has the name of the function

    @property
    def finish(self) -> dict[str, str]:
        """See `Choice`."""
        complete = self._call and self._call.name and self.answer.finish_reason == "stop"
        return {"finish_reason": "tool_calls"} if complete else super().finish

    def whole(self) -> dict[str, Any]:
        """See `Choice`."""
        message: dict[str, Any] = {"role": "assistant", "content": self.answer.text, "refusal": None}
        if self._call:
            arguments = self._call.push(self.answer.text) + self._call.finish()
            message |= {"content": None, "tool_calls": [self._call.written(arguments)] if self._call.name else None}
        return {"message": message, "logprobs": self._logprobs(len(self.answer.tokens))}

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """See `Choice`. The first chunk also has the role; the first that has the function's name, the call's id."""
        return self._chunk(self._call.push(piece.text) if self._call else piece.text, piece.tokens)

    def last_chunk(self) -> dict[str, Any]:
        """See `Choice`."""
        return self._chunk(self._call.finish() if self._call else "", len(self.answer.tokens))

    def _chunk(self, text: str, end: int) -> dict[str, Any]:
        first, self._begun = not self._begun, True
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if not self._call:
            delta |= {"content": text} if first or text else {}
        else:
            delta |= ({"content": None} if first else {}) | self._call_delta(self._call, text)
        return {"delta": delta, "logprobs": self._logprobs(end)}

    def _call_delta(self, call: Call, arguments: str) -> dict[str, Any]:
        if call.name and not self._named:
            self._named = True
            return {"tool_calls": [{"index": 0, **call.written(arguments)}]}
        return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]} if arguments else {}

    def _logprobs(self, end: int) -> dict[str, Any] | None:
        tokens = self._next_tokens(end)
        if self._body.top is None:
            return None
        return {"content": chat_logprobs(tokens, self._model.tokenizer), "refusal": None}
