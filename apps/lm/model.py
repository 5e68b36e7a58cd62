"""A language model ready to answer: its identity, tokenizer, engine and token budget in one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.lm.answer import Answer
from apps.lm.budget import Budget, PromptError
from apps.lm.chat_template import ChatTemplate, RenderError
from apps.lm.engine import Engine, Generation, Sampling
from apps.serving.identity import Identity

CHARACTERS, MOST_CHARACTERS = 16, 256  # of a token: more than most have, and more than any


class ChatError(ValueError):
    """Why a conversation cannot be put to the model."""


@dataclass(frozen=True)
class LanguageModel:
    """`ends` are the tokens that end an answer; logits further apart than `margin` keep their order anywhere."""

    identity: Identity
    tokenizer: Any
    engine: Engine
    budget: Budget
    ends: frozenset[int]
    probes: Sequence[dict] = ()
    margin: float = 0.01
    chat_template: ChatTemplate | None = None

    def tokenize(self, text: str) -> list[int]:
        """The tokens of `text`, with the special ones that the model expects around it."""
        return self._tokens(text, add_special_tokens=True)

    def tokenize_chat(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The tokens of a conversation, each turn with `role` and `content`, up to where the model's begins.

        Raises ChatError where the model has no template for it, or that makes no text of them.
        """
        if self.chat_template is None:
            raise ChatError(f"{self.identity.name!r} has no chat template. Use /v1/completions.")
        try:
            text = self.chat_template.render(messages)
        except RenderError as error:
            raise ChatError(f"The chat template of {self.identity.name!r} refuses the messages: {error}") from None
        return self._tokens(text, add_special_tokens=False)

    def read(self, tokens: Sequence[int], most: int | None = None, sampling: Sampling | None = None) -> Generation:
        """See how much room a prompt leaves for its answer; raise PromptError."""
        return Generation(tokens, self.budget.answer_tokens(len(tokens), most), self.ends, sampling or Sampling())

    def answer(self, wanted: Generation, stops: Sequence[str] = ()) -> Answer:
        """The answer to a prompt that was read, for its caller to run; it ends before any of `stops`."""
        return Answer(self.engine, self._decode, wanted, stops)

    def _tokens(self, text: str, add_special_tokens: bool) -> list[int]:
        """Tokenize as much of `text` as shows that it is too long, if it is: what a megabyte takes would end a pod."""
        most, length = 2 * self.budget.total, CHARACTERS * self.budget.total
        while length < len(text):
            tokens = self.tokenizer(text[:length], add_special_tokens=add_special_tokens, verbose=False).input_ids
            if len(tokens) > most:
                raise self.budget.too_long(f"more than {most}")
            if len(text) > (characters := MOST_CHARACTERS * self.budget.total):
                raise PromptError(f"The prompt has {len(text)} characters; up to {characters} are read. Shorten it.")
            length *= 4
        return self.tokenizer(text, add_special_tokens=add_special_tokens, verbose=False).input_ids

    def _decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
