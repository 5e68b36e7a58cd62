"""The requests of /v1/completions and /v1/chat/completions.

Parameters that would change an answer and are not supported are refused. Those that change nothing are ignored.
"""

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from apps.lm.api.openai.only import Only
from apps.lm.api.openai.problems import require
from apps.lm.api.schemas import AnswerRequest, Stop, Stops, TemperatureRule
from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engines.protocol import Sampling
from apps.lm.model import LanguageModel


def _text(value: object) -> object:
    """Join a list of text parts; the field validates anything else."""
    if not isinstance(value, list) or not value:
        return value
    texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(value):
        raise ValueError("has parts that are not text, and the model reads nothing else")
    return "\n".join(strings)


def _prompt(value: object) -> object:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise ValueError("is not a text; give one text, not empty, a request")
    return value


Tokens = Annotated[
    int | None, Field(ge=1, description=f"most tokens of the answer; {DEFAULT_ANSWER_TOKENS} by default")
]
Ignored = Annotated[Any, Field(description="accepted and ignored")]
TEXT = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]})


class StreamOptions(BaseModel):
    """What a stream holds beside the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool | None = Field(None, description="count the tokens in an event before the last")
    include_obfuscation: Ignored = None


class OpenAIRequest(AnswerRequest):
    """The fields that both requests have."""

    model: str = Field(description="the name that /v1/models lists")
    max_tokens: Tokens = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False), TemperatureRule] = Field(
        None, description="1 by default; 0: always the best token"
    )
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[int | None, Field(ge=1)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    stop: Stop | Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[Any, Only(1)] = None
    presence_penalty: Annotated[Any, Only(0)] = None
    frequency_penalty: Annotated[Any, Only(0)] = None
    logit_bias: Annotated[Any, Only({})] = None
    user: Ignored = None

    @abstractmethod
    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """The prompt's tokens; raise PromptError or ChatError."""

    def tokenize(self, model: LanguageModel) -> list[int]:
        """Also raises a 404 Problem if the request is for another model. See `AnswerRequest` for the properties."""
        require(model, self.model)
        return self.tokenize_prompt(model)

    @property
    def max_answer_tokens(self) -> int | None:
        return self.max_tokens

    @property
    def sampling(self) -> Sampling:
        temperature = 1.0 if self.temperature is None else self.temperature  # OpenAI's default
        return Sampling(temperature, self.top_k, self.top_p, self.seed)

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def usage_in_stream(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(OpenAIRequest):
    """A text to continue."""

    prompt: Annotated[Any, AfterValidator(_prompt), TEXT] = Field(description="one text to continue")
    best_of: Annotated[Any, Only(1)] = None
    echo: Annotated[Any, Only(False)] = None
    logprobs: Annotated[Any, Only(None)] = None
    suffix: Annotated[Any, Only("")] = None

    def tokenize_prompt(self, model: LanguageModel) -> list[int]:
        """See `OpenAIRequest`."""
        return model.tokenize(self.prompt)


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text), TEXT]
    name: Ignored = None

    @property
    def turn(self) -> dict[str, str]:
        """The message as chat templates read it."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class ChatRequest(OpenAIRequest):
    """A conversation to answer."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=2048)]
    max_completion_tokens: Tokens = None
    logprobs: Annotated[Any, Only(False)] = None
    top_logprobs: Annotated[Any, Only(0)] = None
    response_format: Annotated[Any, Only({"type": "text"})] = None
    tools: Annotated[Any, Only([])] = None
    tool_choice: Annotated[Any, Only("none")] = None
    metadata: Ignored = None
    store: Ignored = None
    safety_identifier: Ignored = None

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
