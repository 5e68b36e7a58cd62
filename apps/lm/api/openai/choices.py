"""One choice among the answers: its text and log-probabilities, whole or piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

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
    """Of /v1/chat/completions. The first chunk of a stream also has the role."""

    def whole(self) -> dict[str, Any]:
        """See `Choice`."""
        message = {"role": "assistant", "content": self.answer.text, "refusal": None}
        return {"message": message, "logprobs": self._logprobs(len(self.answer.tokens))}

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """See `Choice`."""
        delta = {"content": piece.text} if piece.text else {}
        if not self._begun:
            delta = {"role": "assistant", "content": piece.text}
        self._begun = True
        return {"delta": delta, "logprobs": self._logprobs(piece.tokens)}

    def _logprobs(self, end: int) -> dict[str, Any] | None:
        tokens = self._next_tokens(end)
        if self._body.top is None:
            return None
        return {"content": chat_logprobs(tokens, self._model.tokenizer), "refusal": None}
