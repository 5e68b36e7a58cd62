"""What the requests of OpenAI's API have in common; `compatibility` has the parameters without effect."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from apps.lm.answer import AnswerOptions
from apps.lm.api.openai.compatibility import OtherParameters
from apps.lm.api.openai.formats import ResponseFormat
from apps.lm.api.openai.only import Ignored
from apps.lm.api.openai.problems import require, too_many_logprobs, unknown_token
from apps.lm.api.openai.reading import Reader, TextReader
from apps.lm.api.schemas import AnswerRequest, Body, Integer, Mistake, Seed, Stops, Temperature, mistakes
from apps.lm.engines.protocol import Grammar, Logprobs, Sampling
from apps.lm.model import LanguageModel

TEXT = ResponseFormat(type="text")
MAX_MESSAGES = 2048
MAX_ANSWERS = 128  # to one request
MAX_LOGPROBS = 131_072  # in one answer, each of about 300 bytes
MAX_TOP = 20  # most likely tokens that are reported for each


Tokens = Annotated[Integer, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
TokenKey = Annotated[str, Field(pattern="^[0-9]{1,9}$")]


class StreamOptions(Body):
    """What a stream holds beside the answer."""

    include_usage: bool = Field(False, description="count the tokens in an event before the last")
    include_obfuscation: Ignored = None
    continuous_usage_stats: bool = Field(False, description="with include_usage: count them in every event")


class OpenAIRequest(OtherParameters, AnswerRequest):
    """The fields that all requests have.

    `format_field` is the one that says what form an answer has, `logprobs_field` how many log-probabilities it has.
    """

    format_field: ClassVar[str] = "response_format"
    logprobs_field: ClassVar[str] = "logprobs"

    model: str = Field(description="the name that /v1/models lists")
    temperature: Temperature = Field(1.0, description="1 by default; 0: always the best token")
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[Integer, Field(ge=-1)] = Field(0, description="0 and -1: all")
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    seed: Seed | None = None
    repetition_penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Annotated[dict[TokenKey, Bias], Field(max_length=1024)] = {}  # noqa: RUF012
    min_tokens: Annotated[Integer, Field(ge=0)] = 0
    ignore_eos: bool = False
    stop: Stops = []  # noqa: RUF012
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[Integer, Field(ge=1, le=MAX_ANSWERS, description="answers to each prompt")] = 1

    @model_validator(mode="after")
    def _check_together(self) -> "OpenAIRequest":
        if several := self.conflicts():
            raise mistakes(*several)
        return self

    def conflicts(self) -> list[Mistake]:
        """What is wrong with fields that are right each for itself."""
        several: list[Mistake] = []
        if self.most_tokens is not None and self.min_tokens > self.most_tokens:
            rule = f"({self.min_tokens}) exceeds the most tokens of the answer ({self.most_tokens}); lower it"
            several.append((("min_tokens",), rule))
        if self.held_to is not None and (self.min_tokens or self.ignore_eos):
            several.append(((self.held_by,), "ends an answer where min_tokens or ignore_eos go on; leave those out"))
        return several

    @abstractmethod
    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """The tokens of each prompt; raise PromptError, ChatError or Problem."""

    def tokenize(self, model: LanguageModel) -> list[list[int]]:
        """Also raises a 404 Problem for another model, and a 400 for what this one cannot. See `AnswerRequest`."""
        require(model, self.model)
        self._require_computable(model)
        prompts = self.tokenize_prompts(model)
        if self.top is not None:
            self._bound_logprobs(model, prompts)
        return prompts

    @property
    @abstractmethod
    def most_tokens(self) -> int | None:
        """The most tokens of the answer; None for as many as fit beside the prompt."""

    @property
    @abstractmethod
    def held_to(self) -> dict[str, Any] | None:
        """The JSON schema that answers are held to; None for any text."""

    @property
    def held_by(self) -> str:
        """The field that has this schema."""
        return self.format_field

    @property
    def top(self) -> int | None:
        """How many of the most likely tokens are reported for each; None if no log-probability is."""
        return None

    @property
    def echoes(self) -> bool:
        """Whether an answer begins with its prompt."""
        return False

    @property
    def copies(self) -> int:
        return self.n

    def grammar(self, model: LanguageModel) -> Grammar | None:
        return None if self.held_to is None else model.make_grammar(self.held_to)

    def reader(self, model: LanguageModel) -> Reader:
        """What reads one answer."""
        return TextReader()

    def options(self, copy: int) -> AnswerOptions:
        sampling = Sampling(
            self.temperature,
            self.top_k if self.top_k > 0 else None,
            self.top_p,
            None if self.seed is None else self.seed + copy,
            self.min_p,
            self.repetition_penalty,
            self.presence_penalty,
            self.frequency_penalty,
            {int(token): bias for token, bias in self.logit_bias.items()},
        )
        recorded = self.top is not None or self.copies > self.n
        logprobs = Logprobs(self.top or 0, self.echoes and self.top is not None) if recorded else None
        return AnswerOptions(self.most_tokens, sampling, self.stop, self.min_tokens, self.ignore_eos, logprobs)

    @property
    def streamed(self) -> bool:
        return self.stream

    def _bound_logprobs(self, model: LanguageModel, prompts: Sequence[Sequence[int]]) -> None:
        """Raise a 400 for more log-probabilities than an answer should hold in memory."""
        most = model.budget.total if self.most_tokens is None else min(self.most_tokens, model.budget.total)
        tokens = sum((len(prompt) if self.echoes else 0) + most for prompt in prompts) * self.copies
        if (count := tokens * (1 + (self.top or 0))) > MAX_LOGPROBS:
            raise too_many_logprobs(count, MAX_LOGPROBS, self.logprobs_field)

    def _require_computable(self, model: LanguageModel) -> None:
        if unknown := [token for token in self.logit_bias if int(token) >= model.tokenizer.vocabulary]:
            raise unknown_token(model, int(unknown[0]), "logit_bias")
