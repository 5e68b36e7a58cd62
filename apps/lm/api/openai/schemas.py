"""The requests of /v1/completions and /v1/chat/completions; `compatibility` has the parameters without effect."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from apps.lm.api.openai.compatibility import OtherChatParameters, OtherCompletionParameters, OtherParameters
from apps.lm.api.openai.messages import Message
from apps.lm.api.openai.only import EMPTY, Ignored, Only
from apps.lm.api.openai.problems import require
from apps.lm.api.schemas import AnswerRequest, Body, Integer, Stops, Temperature
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
TEXT = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]})


class StreamOptions(Body):
    """What a stream holds beside the answer."""

    include_usage: bool = Field(False, description="count the tokens in an event before the last")
    include_obfuscation: Ignored = None
    continuous_usage_stats: Annotated[Any, Only(False)] = None


class OpenAIRequest(OtherParameters, AnswerRequest):
    """The fields that both requests have."""

    model: str = Field(description="the name that /v1/models lists")
    temperature: Temperature = Field(1.0, description="1 by default; 0: always the best token")
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[Integer, Field(ge=-1)] = Field(0, description="0 and -1: all")
    seed: Annotated[Integer | None, Field(ge=0, lt=2**63)] = None
    stop: Stops = []  # noqa: RUF012
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[Any, Only(1)] = None
    presence_penalty: Annotated[Any, Only(0)] = None
    frequency_penalty: Annotated[Any, Only(0)] = None
    repetition_penalty: Annotated[Any, Only(1)] = None
    min_p: Annotated[Any, Only(0)] = None
    min_tokens: Annotated[Any, Only(0)] = None
    ignore_eos: Annotated[Any, Only(False)] = None
    logit_bias: Annotated[Any, EMPTY] = None

    @abstractmethod
    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """The prompt's tokens; raise PromptError or ChatError."""

    def tokenize(self, model: LanguageModel) -> list[int]:
        """Also raises a 404 Problem if the request is for another model. See `AnswerRequest` for the properties."""
        require(model, self.model)
        return self.tokenize_prompt(model)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_k if self.top_k > 0 else None, self.top_p, self.seed)

    @property
    def stops(self) -> list[str]:
        return self.stop

    @property
    def streamed(self) -> bool:
        return self.stream

    @property
    def usage_in_stream(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return self.stream_options.include_usage


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
    def max_answer_tokens(self) -> int:
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
    def max_answer_tokens(self) -> int | None:
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
