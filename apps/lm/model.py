"""A language model ready to answer: its identity, tokenizer, engine and token budget in one object."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.lm.budget import Budget
from apps.lm.engine import Engine, Generation
from apps.lm.text import TextStream
from apps.serving.service import Identity


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens, and how many its answer may have."""

    tokens: list[int]
    answer_tokens: int


@dataclass(frozen=True)
class Answer:
    """`tokens` are those generated, with the one that ends the answer; `finish_reason`: stop or length."""

    text: str
    finish_reason: str
    tokens: list[int]


@dataclass(frozen=True)
class LanguageModel:
    """`ends` are the tokens that end an answer."""

    identity: Identity
    tokenizer: Any
    engine: Engine
    budget: Budget
    ends: frozenset[int]
    probes: Sequence[dict] = ()

    def tokenize(self, text: str) -> list[int]:
        """The tokens of `text`, with the special ones that the model expects around it."""
        return self.tokenizer(text, verbose=False).input_ids

    def read(self, text: str, max_new_tokens: int | None) -> Prompt:
        """Tokenise a prompt and see how much room it leaves; raise PromptError."""
        tokens = self.tokenize(text)
        return Prompt(tokens, self.budget.answer_tokens(len(tokens), max_new_tokens))

    def answer(self, prompt: Prompt, cancelled: Callable[[], bool]) -> Answer:
        """Generate until the model ends its answer, its tokens are used up, or `cancelled()`."""
        stream, pieces, tokens = TextStream(self._decode, prompt.tokens), [], []
        for token in self.engine.generate(Generation(prompt.tokens, prompt.answer_tokens, self.ends), cancelled):
            tokens.append(token)
            pieces.append("" if token in self.ends else stream.push(token))
        ended = bool(tokens) and tokens[-1] in self.ends
        return Answer("".join([*pieces, stream.finish()]), "stop" if ended else "length", tokens)

    def _decode(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
