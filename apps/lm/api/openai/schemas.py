"""The requests of /v1/completions and /v1/chat/completions; `compatibility` has the parameters without effect."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from apps.lm.answer import AnswerOptions
from apps.lm.api.openai.compatibility import OtherChatParameters, OtherCompletionParameters, OtherParameters
from apps.lm.api.openai.messages import Message
from apps.lm.api.openai.only import Ignored, Only
from apps.lm.api.openai.problems import require, uncomputed, unknown_token
from apps.lm.api.schemas import AnswerRequest, Body, Integer, Seed, Stops, Temperature, mistakes
from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engines.protocol import Logprobs, Sampling
from apps.lm.model import LanguageModel

MAX_MESSAGES = 2048
MAX_ANSWERS = 128  # to one request
MAX_TOP = 20  # most likely tokens that are reported for each


def _prompts(value: object) -> object:
    """A list of prompts, each a text or a list of token ids; one can be sent as it is."""
    prompts = [value] if isinstance(value, str) or _is_tokens(value) else value
    if not isinstance(prompts, list) or not prompts or not all(map(_is_prompt, prompts)):
        raise ValueError("is not a text, a list of token ids, or a list of such prompts, none of them empty")
    return prompts


def _is_prompt(value: object) -> bool:
    return bool(value) if isinstance(value, str) else _is_tokens(value)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int and token >= 0 for token in value)


Tokens = Annotated[Integer, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
TokenKey = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
TOKENS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
PROMPT_SCHEMA: list[dict[str, Any]] = [{"type": "string", "minLength": 1}, TOKENS_SCHEMA]
PROMPTS_SCHEMA = {"anyOf": [*PROMPT_SCHEMA, {"type": "array", "items": {"anyOf": PROMPT_SCHEMA}, "minItems": 1}]}


class StreamOptions(Body):
    """What a stream holds beside the answer."""

    include_usage: bool = Field(False, description="count the tokens in an event before the last")
    include_obfuscation: Ignored = None
    continuous_usage_stats: bool = Field(False, description="with include_usage: count them in every event")


class OpenAIRequest(OtherParameters, AnswerRequest):
    """The fields that both requests have."""

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
    def _check_min_tokens(self) -> "OpenAIRequest":
        if self.most_tokens is not None and self.min_tokens > self.most_tokens:
            rule = f"({self.min_tokens}) exceeds the most tokens of the answer ({self.most_tokens}); lower it"
            raise mistakes((("min_tokens",), rule))
        return self

    @abstractmethod
    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """The tokens of each prompt; raise PromptError, ChatError or Problem."""

    def tokenize(self, model: LanguageModel) -> list[list[int]]:
        """Also raises a 404 Problem for another model, and a 400 for what this one cannot. See `AnswerRequest`."""
        require(model, self.model)
        self._require_computable(model)
        return self.tokenize_prompts(model)

    @property
    @abstractmethod
    def most_tokens(self) -> int | None:
        """The most tokens of the answer; None for as many as fit beside the prompt."""

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

    def _require_computable(self, model: LanguageModel) -> None:
        for name in sorted(model.uncomputed & self.model_fields_set):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise uncomputed(model, name)
        if unknown := [token for token in self.logit_bias if int(token) >= model.tokenizer.vocabulary]:
            raise unknown_token(model, int(unknown[0]), "logit_bias")


class CompletionRequest(OtherCompletionParameters, OpenAIRequest):
    """Texts to continue."""

    prompt: Annotated[list[Any], BeforeValidator(_prompts), WithJsonSchema(PROMPTS_SCHEMA)] = Field(
        description="a text to continue, its token ids, or a list of texts or of token ids"
    )
    max_tokens: Annotated[Integer, Field(ge=0)] = Field(
        DEFAULT_ANSWER_TOKENS, description="most tokens of the answer; 0 only with echo"
    )
    best_of: Annotated[Integer | None, Field(ge=1, le=MAX_ANSWERS)] = Field(
        None, description="answers to each prompt, of which the n likeliest are returned; n by default"
    )
    echo: bool = Field(False, description="let the answer begin with the prompt")
    logprobs: Annotated[Integer | None, Field(ge=0, le=MAX_TOP)] = Field(
        None, description="report the log-probability of each token, and of this many of the likeliest"
    )
    response_format: Annotated[Any, Only({"type": "text"})] = None

    @model_validator(mode="after")
    def _check_together(self) -> "CompletionRequest":
        several = []
        if self.max_tokens == 0 and not self.echo:
            several.append((("max_tokens",), "is 0, which needs echo"))
        if self.copies < self.n:
            several.append((("best_of",), f"({self.best_of}) is less than n ({self.n})"))
        if self.copies > self.n and self.stream:
            several.append((("best_of",), "cannot be streamed unless it is n: the best are known at the end"))
        if (count := len(self.prompt) * self.copies) > MAX_ANSWERS:
            several.append((("prompt",), f"asks for {count} answers; ask for up to {MAX_ANSWERS} in a request"))
        if several:
            raise mistakes(*several)
        return self

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        return [model.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in self.prompt]

    @property
    def most_tokens(self) -> int:
        return self.max_tokens

    @property
    def top(self) -> int | None:
        return self.logprobs

    @property
    def echoes(self) -> bool:
        return self.echo

    @property
    def copies(self) -> int:
        return self.n if self.best_of is None else self.best_of

    def _require_computable(self, model: LanguageModel) -> None:
        super()._require_computable(model)
        if "logprobs" in model.uncomputed and self.copies > self.n:
            raise uncomputed(model, "best_of")
        largest = max((max(prompt) for prompt in self.prompt if not isinstance(prompt, str)), default=0)
        if largest >= model.tokenizer.vocabulary:
            raise unknown_token(model, largest, "prompt")


class ChatRequest(OtherChatParameters, OpenAIRequest):
    """A conversation to answer."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Tokens | None = Field(
        None, description="most tokens of the answer; by default as many as fit beside the conversation"
    )
    max_tokens: Tokens | None = Field(None, description="the earlier name of max_completion_tokens")
    logprobs: bool = Field(False, description="report the log-probability of each token")
    top_logprobs: Annotated[Integer, Field(ge=0, le=MAX_TOP)] = Field(
        0, description="with logprobs: also of this many of the likeliest tokens"
    )
    response_format: Annotated[Any, Only({"type": "text"})] = None

    @model_validator(mode="after")
    def _check_together(self) -> "ChatRequest":
        if self.top_logprobs and not self.logprobs:
            raise mistakes((("top_logprobs",), "needs logprobs: true"))
        return self

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        return [model.tokenize_chat([message.turn for message in self.messages])]

    @property
    def most_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def top(self) -> int | None:
        return self.top_logprobs if self.logprobs else None


COMPLETION_EXAMPLES: dict[str, Any] = {
    "greedy": {
        "summary": "The likeliest continuation",
        "value": {"model": "smollm2-135m-instruct", "prompt": "The capital of France is", "temperature": 0},
    }
}
CHAT_EXAMPLES: dict[str, Any] = {
    "question": {
        "summary": "One question",
        "value": {
            "model": "smollm2-135m-instruct",
            "messages": [{"role": "user", "content": "Name a bird."}],
            "temperature": 0,
        },
    }
}
