"""A language model ready to answer: its identity, tokenizer, engine and token budget in one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.lm.answer import Answer
from apps.lm.budget import Budget
from apps.lm.engine import Engine, Generation, Sampling
from apps.serving.service import Identity


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

    def read(self, text: str, most: int | None = None, sampling: Sampling | None = None) -> Generation:
        """Tokenise a prompt and see how much room it leaves; raise PromptError."""
        tokens = self.tokenize(text)
        return Generation(tokens, self.budget.answer_tokens(len(tokens), most), self.ends, sampling or Sampling())

    def answer(self, wanted: Generation, stops: Sequence[str] = ()) -> Answer:
        """The answer to a prompt that was read, for its caller to run; it ends before any of `stops`."""
        return Answer(self.engine, self._decode, wanted, stops)

    def _decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
