"""The requests of /v1/completions and /v1/chat/completions; `compatibility` has the parameters without effect."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from apps.lm.answer import AnswerOptions
from apps.lm.api.openai.compatibility import OtherChatParameters, OtherCompletionParameters, OtherParameters
from apps.lm.api.openai.messages import Message
from apps.lm.api.openai.only import Ignored, Only
from apps.lm.api.openai.problems import require, uncomputed, unknown_token
from apps.lm.api.schemas import AnswerRequest, Body, Integer, Seed, Stops, Temperature, mistakes
from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engines.protocol import Sampling
from apps.lm.model import LanguageModel


def _prompt(value: object) -> object:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise ValueError("is not a text; give one text, not empty, a request")
    return value


Tokens = Annotated[Integer, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
TokenKey = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
TEXT = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]})


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
    n: Annotated[Any, Only(1)] = None

    @model_validator(mode="after")
    def _check_min_tokens(self) -> "OpenAIRequest":
        if self.most_tokens is not None and self.min_tokens > self.most_tokens:
            rule = f"({self.min_tokens}) exceeds the most tokens of the answer ({self.most_tokens}); lower it"
            raise mistakes((("min_tokens",), rule))
        return self

    @abstractmethod
    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """The prompt's tokens; raise PromptError or ChatError."""

    def tokenize(self, model: LanguageModel) -> list[int]:
        """Also raises a 404 Problem for another model, and a 400 for what this one cannot. See `AnswerRequest`."""
        require(model, self.model)
        self._require_computable(model)
        return self.tokenize_prompt(model)

    @property
    @abstractmethod
    def most_tokens(self) -> int | None:
        """The most tokens of the answer; None for as many as fit beside the prompt."""

    @property
    def options(self) -> AnswerOptions:
        sampling = Sampling(
            self.temperature,
            self.top_k if self.top_k > 0 else None,
            self.top_p,
            self.seed,
            self.min_p,
            self.repetition_penalty,
            self.presence_penalty,
            self.frequency_penalty,
            {int(token): bias for token, bias in self.logit_bias.items()},
        )
        return AnswerOptions(self.most_tokens, sampling, self.stop, self.min_tokens, self.ignore_eos)

    @property
    def streamed(self) -> bool:
        return self.stream

    def _require_computable(self, model: LanguageModel) -> None:
        for name in sorted(model.uncomputed & self.model_fields_set):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise uncomputed(model, name)
        if unknown := [token for token in self.logit_bias if int(token) >= model.tokenizer.vocabulary]:
            raise unknown_token(model, unknown[0], "logit_bias")


class CompletionRequest(OtherCompletionParameters, OpenAIRequest):
    """A text to continue."""

    prompt: Annotated[Any, AfterValidator(_prompt), TEXT] = Field(description="one text to continue")
    max_tokens: Tokens = Field(DEFAULT_ANSWER_TOKENS, description="most tokens of the answer")
    best_of: Annotated[Any, Only(1)] = None
    echo: Annotated[Any, Only(False)] = None
    logprobs: Annotated[Any, Only()] = None
    response_format: Annotated[Any, Only({"type": "text"})] = None

    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """See `OpenAIRequest`."""
        return model.tokenize(self.prompt)

    @property
    def most_tokens(self) -> int:
        return self.max_tokens


class ChatRequest(OtherChatParameters, OpenAIRequest):
    """A conversation to answer."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=2048)]
    max_completion_tokens: Tokens | None = Field(
        None, description="most tokens of the answer; by default as many as fit beside the conversation"
    )
    max_tokens: Tokens | None = Field(None, description="the earlier name of max_completion_tokens")
    logprobs: Annotated[Any, Only(False)] = None
    top_logprobs: Annotated[Any, Only(0)] = None
    response_format: Annotated[Any, Only({"type": "text"})] = None

    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """See `OpenAIRequest`."""
        return model.tokenize_chat([message.turn for message in self.messages])

    @property
    def most_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


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
