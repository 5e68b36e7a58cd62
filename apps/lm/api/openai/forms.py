"""How OpenAI's API writes answers: as a whole, and as the events of a stream."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from apps.lm.answer import Answer, Piece
from apps.lm.api.events import event
from apps.lm.api.openai.choices import ChatChoice, Choice, CompletionChoice
from apps.lm.api.openai.problems import error
from apps.lm.api.openai.schemas import OpenAIRequest
from apps.lm.model import LanguageModel
from apps.serving.problems import Problem

DONE = "data: [DONE]\n\n"


class CompletionForm:
    """Answers of /v1/completions; see `apps.lm.api.events.Form`."""

    id_prefix: ClassVar[str] = "cmpl-"
    whole_object: ClassVar[str] = "text_completion"
    chunk_object: ClassVar[str] = "text_completion"
    choice: ClassVar[type[Choice]] = CompletionChoice

    def __init__(self, body: OpenAIRequest, answers: Sequence[Answer], model: LanguageModel, request_id: str) -> None:
        self._body, self._answers, self._options = body, answers, body.stream_options
        self._choices = [self.choice(body, answer, model) for answer in answers]
        self._model = model.identity.name
        self._id, self._created = self.id_prefix + request_id, int(time.time())

    def whole(self) -> dict[str, Any]:
        """A Completion or a Chat."""
        choices = [{"index": index, **choice.whole(), **choice.finish} for index, choice in enumerate(self._best())]
        usage = self._usage([len(answer.tokens) for answer in self._answers])
        return self._document(self.whole_object, choices) | {"usage": usage}

    def piece(self, index: int, piece: Piece) -> str:
        """A chunk."""
        return self._chunk({"index": index, **self._choices[index].chunk(piece), "finish_reason": None})

    def end(self, index: int) -> str:
        """The chunk with the reason for the end."""
        choice = self._choices[index]
        return self._chunk({"index": index, **choice.last_chunk(), **choice.finish})

    def done(self) -> str:
        """Usage if it was requested, then DONE."""
        if not self._options.include_usage:
            return DONE
        return event(self._document(self.chunk_object, []) | {"usage": self._usage_so_far()}) + DONE

    def error(self, problem: Problem) -> str:
        """An Error, then DONE."""
        return event({"error": error(problem)}) + DONE

    def _best(self) -> list[Choice]:
        """Of the answers to each prompt, the requested number: those with the highest probability per token."""
        copies, count = self._body.copies, self._body.n
        if copies == count:
            return self._choices
        groups = [self._choices[start : start + copies] for start in range(0, len(self._choices), copies)]
        return [choice for group in groups for choice in sorted(group, key=Choice.mean_logprob, reverse=True)[:count]]

    def _chunk(self, choice: dict[str, Any]) -> str:
        usage = {}
        if self._options.include_usage:
            usage = {"usage": self._usage_so_far() if self._options.continuous_usage_stats else None}
        return event(self._document(self.chunk_object, [choice]) | usage)

    def _usage_so_far(self) -> dict[str, int]:
        return self._usage([choice.tokens for choice in self._choices])

    def _usage(self, counts: Sequence[int]) -> dict[str, int]:
        prompt = sum(len(answer.request.prompt) for answer in self._answers[:: self._body.copies])
        completion = sum(counts)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def _document(self, object_name: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": object_name,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }


class ChatForm(CompletionForm):
    """Answers of /v1/chat/completions."""

    id_prefix: ClassVar[str] = "chatcmpl-"
    whole_object: ClassVar[str] = "chat.completion"
    chunk_object: ClassVar[str] = "chat.completion.chunk"
    choice: ClassVar[type[Choice]] = ChatChoice
