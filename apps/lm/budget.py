"""The token contract: prompt and answer together stay within a budget; the answer is cut to what fits."""

from dataclasses import dataclass

DEFAULT_ANSWER_TOKENS = 64


class PromptError(ValueError):
    """A prompt without a token, or one that leaves no room for an answer; the text gives both counts."""


@dataclass(frozen=True)
class Budget:
    """`total` tokens for prompt and answer together, at least 2."""

    total: int

    @classmethod
    def within(cls, wanted: int, context: int | None) -> "Budget":
        """`wanted` tokens, but never more than the model's context, where that is known."""
        return cls(min(wanted, context or wanted))

    def answer_tokens(self, prompt_tokens: int, wanted: int | None = None) -> int:
        """How many tokens the answer may have, from 1 to `wanted` (64 where the request names none)."""
        if prompt_tokens < 1:
            raise PromptError("The prompt has no token that the model knows. Give some text to continue.")
        room = self.total - prompt_tokens
        if room < 1:
            raise self.too_long(f"{prompt_tokens}")
        return min(room, DEFAULT_ANSWER_TOKENS if wanted is None else wanted)

    def too_long(self, prompt_tokens: str) -> PromptError:
        """The error of a prompt of so many tokens."""
        return PromptError(
            f"The prompt has {prompt_tokens} tokens; prompt and answer together may have {self.total}. "
            f"Shorten the prompt to at most {self.total - 1} tokens."
        )
