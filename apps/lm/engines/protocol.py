"""What the service and its engines agree on, so that another library is another implementation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    `temperature` 0 takes the most likely token. `top_k`, `top_p` and `min_p` (the least share of the most likely
    token's probability) restrict which tokens can be drawn. The same `seed` draws the same tokens.

    `logit_bias` is added to the logits of its tokens. `repetition_penalty` divides the positive logits of all tokens so
    far, and multiplies the negative ones. Of the logits of generated tokens, `presence_penalty` is subtracted once and
    `frequency_penalty` as often as the token was generated.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenLogprob:
    """A token's log-probability after the tokens before it, and those of the most likely tokens there, best first."""

    token: int
    logprob: float
    top: Sequence[tuple[int, float]]


@dataclass
class Logprobs:
    """Where an engine records the tokens of one sequence: each before it is received, by the model's own probabilities.

    `top` is the number of most likely tokens to record for each. With `of_prompt`, the tokens of the prompt but the
    first are recorded too.
    """

    top: int = 0
    of_prompt: bool = False
    tokens: list[TokenLogprob] = field(default_factory=list)


class SchemaError(ValueError):
    """Why answers cannot be held to a JSON schema, as the end of a sentence."""


class Grammar(Protocol):
    """Holds one answer to a JSON schema, in a way that its engine knows."""

    def copy(self) -> "Grammar":
        """The same for another answer."""


MakeGrammar = Callable[[dict[str, Any]], Grammar]  # from a JSON schema; raises SchemaError. Any thread may call


@dataclass(frozen=True)
class GenerationRequest:
    """Tokens of a prompt, and how to continue it.

    The answer has at most `max_tokens` tokens and ends with any of `end_tokens`, of which none comes before there are
    `min_tokens` others. `logprobs` is None or filled while the answer is generated. With `grammar`,
    the answer's text fits a JSON schema unless `max_tokens` cuts it.
    """

    prompt: Sequence[int]
    max_tokens: int
    end_tokens: frozenset[int] = frozenset()
    sampling: Sampling = Sampling()
    min_tokens: int = 0
    logprobs: Logprobs | None = field(default=None, compare=False)
    grammar: Grammar | None = field(default=None, compare=False)

    @property
    def total_tokens(self) -> int:
        """The most tokens that prompt and answer have together: the space to reserve in the KV cache."""
        return len(self.prompt) + self.max_tokens


Receive = Callable[[int], bool | None]  # takes a token; true: it needs no more


class Engine(Protocol):
    """Generates tokens for any number of callers at once.

    `failure` is None, or a sentence that says why the engine can generate nothing any more.
    """

    failure: str | None

    def generate(self, request: GenerationRequest, receive: Receive, cancelled: Callable[[], bool]) -> None:
        """Hand each token to `receive` as it is computed, until the last one or until `receive` or `cancelled` is true.

        Any thread may call. `receive` must be quick, because the thread that runs it computes for all callers. Raises
        the error that ended the computation, which may be an error of `receive`.
        """


class Tokenizer(Protocol):
    """Turns text into tokens and back."""

    @property
    def chat_template(self) -> str | Mapping[str, str] | None:
        """The template, or several by name; None if the model has none."""

    @property
    def vocabulary(self) -> int:
        """The number of token ids, from 0 on."""

    @property
    def special_tokens_map(self) -> Mapping[str, str]:
        """Special tokens by role, such as `eos_token`."""

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token, which can be a part of a character; of a special token, those of its name."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The tokens of `text`, with the special tokens that the model expects around it if `add_special_tokens`."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, without special tokens."""


class EngineSettings(Protocol):
    """The settings that engines read."""

    @property
    def dtype(self) -> Literal["fp32", "bf16", "auto"]: ...

    @property
    def device(self) -> Literal["auto", "cpu", "cuda"]: ...

    @property
    def max_in_flight(self) -> int: ...

    @property
    def max_total_tokens(self) -> int: ...

    @property
    def capacity(self) -> int:
        """The most tokens of all sequences in the batch together."""


@dataclass(frozen=True)
class LoadedModel:
    """A model folder, loaded by an engine.

    `max_total_tokens` is the setting, bounded by the model's context. `margin`: two logits that differ by more have
    the same order on every processor. `facts` are JSON values for /healthz.
    """

    engine: Engine
    tokenizer: Tokenizer
    end_tokens: frozenset[int]
    max_total_tokens: int
    margin: float
    facts: Mapping[str, object]
    make_grammar: MakeGrammar
