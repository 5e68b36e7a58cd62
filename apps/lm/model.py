"""A language model that is ready to answer: identity, tokenizer, engine and token budget in one object."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.lm.answer import Answer, AnswerOptions
from apps.lm.budget import Budget, PromptError, PromptTooLong
from apps.lm.chat_template import ChatTemplate, RenderError
from apps.lm.engines.protocol import Engine, GenerationRequest, Grammar, MakeGrammar, Tokenizer
from apps.lm.metrics import TokenMeter
from apps.serving.identity import Identity

LOG = logging.getLogger("lm")
# Characters of a token: more than almost any text has on average, and more than the longest token of any vocabulary.
CHARACTERS, MAX_CHARACTERS = 16, 256


class ChatError(ValueError):
    """Why a conversation cannot be put to the model."""


@dataclass(frozen=True)
class LanguageModel:
    """`end_tokens` end an answer, and so does the time `answer_seconds` after its request has arrived.

    Two logits that differ by more than `margin` have the same order on any processor.
    """

    identity: Identity
    tokenizer: Tokenizer
    engine: Engine
    budget: Budget
    end_tokens: frozenset[int]
    meter: TokenMeter
    make_grammar: MakeGrammar
    probes: Sequence[dict[str, Any]] = ()
    margin: float = 0.01
    chat_template: ChatTemplate | None = None
    answer_seconds: float = math.inf

    def tokenize(self, text: str) -> list[int]:
        """The tokens of `text`, with the special tokens that the model expects around it; raise PromptError."""
        return self._tokenize(text, add_special_tokens=True)

    def tokenize_chat(self, messages: Sequence[dict[str, str]], tools: Sequence[dict[str, Any]] = ()) -> list[int]:
        """The tokens of a conversation up to where the model's turn begins; each message has `role` and `content`.

        A template that knows `tools`, in OpenAI's form, shows them to the model.

        Raises PromptError, and ChatError if the model has no chat template or its template refuses the messages.
        """
        if self.chat_template is None:
            raise ChatError(f"{self.identity.name!r} has no chat template. Use /v1/completions.")
        try:
            text = self.chat_template.render(messages, tools)
        except RenderError as error:
            raise ChatError(f"The chat template of {self.identity.name!r} refuses the messages: {error}") from None
        return self._tokenize(text, add_special_tokens=False)

    def answer(
        self, prompt: Sequence[int], options: AnswerOptions, arrived: float, grammar: Grammar | None = None
    ) -> Answer:
        """Return the answer to a prompt, for its caller to run; raise PromptError if the budget leaves no room for it.

        `arrived` is when its request did, on the monotonic clock. `grammar` is for this answer alone.
        """
        empty = options.max_tokens == 0
        max_tokens = self.budget.answer_tokens(len(prompt), 1 if empty else options.max_tokens)
        ends = frozenset[int]() if options.ignore_end else self.end_tokens
        request = GenerationRequest(
            prompt, max_tokens, ends, options.sampling, options.min_tokens, options.logprobs, grammar
        )
        deadline, decode, meter = arrived + self.answer_seconds, self.tokenizer.decode, self.meter
        return Answer(self.identity, self.engine, decode, meter, request, options.stops, arrived, deadline, empty)

    def _tokenize(self, text: str, add_special_tokens: bool) -> list[int]:
        """Tokenize no more of a text than shows that it is too long: a megabyte would exceed a pod's memory."""
        limit, length = 2 * self.budget.total, CHARACTERS * self.budget.total
        while length < len(text):
            if len(self._encode(text[:length], add_special_tokens)) > limit:
                raise self.budget.too_long(f"more than {limit}")
            if len(text) > (characters := MAX_CHARACTERS * self.budget.total):
                raise PromptTooLong(
                    f"The prompt is too long: it has {len(text)} characters; up to {characters} are read. Shorten it."
                )
            length *= 4
        return self._encode(text, add_special_tokens)

    def _encode(self, text: str, add_special_tokens: bool) -> list[int]:
        try:
            return self.tokenizer.encode(text, add_special_tokens=add_special_tokens)
        except BaseException as error:  # a panic of the Rust library is no Exception
            if type(error).__name__ != "PanicException":
                raise
            LOG.error("the tokenizer has failed", extra={"reason": str(error)})
            raise PromptError(f"The tokenizer of {self.identity.name!r} cannot read the prompt.") from None
