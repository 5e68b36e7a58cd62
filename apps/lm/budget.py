"""The token contract: prompt and answer together stay within a budget, and the answer is cut to fit."""

from dataclasses import dataclass

DEFAULT_ANSWER_TOKENS = 64


class PromptError(ValueError):
    """A prompt that cannot be answered."""


class PromptTooLong(PromptError):
    """A prompt that leaves no room for an answer. The text gives both counts, and begins as its clients expect.

    LiteLLM and LangChain know an overflow of the context by the words "prompt is too long".
    """


@dataclass(frozen=True)
class Budget:
    """`total` tokens for prompt and answer together, at least 2."""

    total: int

    def answer_tokens(self, prompt_tokens: int, max_tokens: int | None = None) -> int:
        """The most tokens of an answer: as many as fit, up to `max_tokens`, and at least 1; raise PromptError."""
        if prompt_tokens < 1:
            raise PromptError("The prompt has no token that the model knows. Give some text to continue.")
        room = self.total - prompt_tokens
        if room < 1:
            raise self.too_long(f"{prompt_tokens}")
        return room if max_tokens is None else min(room, max_tokens)

    def too_long(self, prompt_tokens: str) -> PromptTooLong:
        """The error for a prompt of this many tokens."""
        return PromptTooLong(
            f"The prompt is too long: it has {prompt_tokens} tokens; prompt and answer together may have {self.total}. "
            f"Shorten the prompt to at most {self.total - 1} tokens."
        )
