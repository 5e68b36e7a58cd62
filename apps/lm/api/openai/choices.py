"""One choice among the answers: its text and log-probabilities, whole or piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from apps.lm.answer import Answer, Piece
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
    """Of /v1/chat/completions: a text, or a call whose arguments are the text."""

    def __init__(self, body: OpenAIRequest, answer: Answer, model: LanguageModel) -> None:
        super().__init__(body, answer, model)
        self._call_id = f"call_{uuid4().hex}"

    @property
    def finish(self) -> dict[str, str]:
        """See `Choice`."""
        complete = self._body.called and self.answer.finish_reason == "stop"
        return {"finish_reason": "tool_calls"} if complete else super().finish

    def whole(self) -> dict[str, Any]:
        """See `Choice`."""
        message: dict[str, Any] = {"role": "assistant", "content": self.answer.text, "refusal": None}
        if self._body.called:
            message |= {"content": None, "tool_calls": [self._call(self._body.called.name, self.answer.text)]}
        return {"message": message, "logprobs": self._logprobs(len(self.answer.tokens))}

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """See `Choice`. The first chunk of a stream also has the role, and the name of the function that is called."""
        first, self._begun = not self._begun, True
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if not self._body.called:
            delta |= {"content": piece.text} if first or piece.text else {}
        elif first:
            delta |= {"content": None, "tool_calls": [{"index": 0, **self._call(self._body.called.name, piece.text)}]}
        elif piece.text:
            delta["tool_calls"] = [{"index": 0, "function": {"arguments": piece.text}}]
        return {"delta": delta, "logprobs": self._logprobs(piece.tokens)}

    def _call(self, name: str, arguments: str) -> dict[str, Any]:
        return {"id": self._call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _logprobs(self, end: int) -> dict[str, Any] | None:
        tokens = self._next_tokens(end)
        if self._body.top is None:
            return None
        return {"content": chat_logprobs(tokens, self._model.tokenizer), "refusal": None}
