"""Holds answers to a JSON schema: of each next token's logits, only those remain that the schema allows.

llguidance computes which: it has no dependencies, and vLLM, SGLang and llama.cpp use it.
"""

import threading
from collections.abc import Collection, Sequence
from copy import copy
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from apps.lm.engines.protocol import SchemaError

# As json.dumps writes: with free white space, a small model writes little else.
FORM: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

MAX_CHARACTERS = 300  # of an error, which can repeat a whole pattern


class Grammar:
    """The state of one answer that a schema holds. Not thread-safe."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher, self._consumed = matcher, 0

    def copy(self) -> "Grammar":
        """The same for another answer, from its start."""
        return Grammar(self._matcher.deep_copy())

    def restrict(self, logits: NDArray[np.float32], generated: Sequence[int]) -> NDArray[np.float32]:
        """Return `logits`, of shape (vocabulary,), with only those that may follow the `generated` tokens.

        Raises SchemaError if that cannot be computed within llguidance's limits.
        """
        if not self._matcher.consume_tokens(list(generated[self._consumed :])):
            raise _error(self._matcher.get_error())
        self._consumed = len(generated)
        allowed = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)
        if self._matcher.is_error():
            raise _error(self._matcher.get_error())
        return np.where(allowed[: len(logits)] == 0, np.float32(-np.inf), logits)


class Grammars:
    """Makes the grammars of one model, for its tokenizer. Any thread may call.

    `backend` is None for a tokenizer that is written in Python.
    """

    def __init__(self, backend: Tokenizer | None, vocabulary: int, end_tokens: Collection[int]) -> None:
        self._backend = backend
        self._made: LLTokenizer | None = None
        self._vocabulary, self._end_tokens = vocabulary, sorted(end_tokens)
        self._lock = threading.Lock()

    def make(self, schema: dict[str, Any]) -> Grammar:
        """Return the grammar of a JSON schema; raise SchemaError if it has none."""
        if self._backend is None or not self._end_tokens:
            raise SchemaError("the model's tokenizer cannot be held to a schema")
        with self._lock:
            tokenizer = self._tokenizer(self._backend)
        try:
            matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(schema, overrides=FORM), log_level=0)
        except ValueError as error:
            raise _error(str(error)) from None
        if matcher.is_error():
            raise _error(matcher.get_error())
        return Grammar(matcher)

    def _tokenizer(self, backend: Tokenizer) -> LLTokenizer:
        """Takes a second for a large vocabulary, so it is made when it is first needed."""
        if self._made is None:
            plain = copy(backend)
            plain.no_padding()
            plain.no_truncation()
            self._made = LLTokenizer(plain.to_str(), n_vocab=self._vocabulary, eos_token=self._end_tokens)
        return self._made


def _error(text: str) -> SchemaError:
    return SchemaError(" ".join(text.split())[:MAX_CHARACTERS])
