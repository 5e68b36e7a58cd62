"""What /v1/completions and /v1/chat/completions take. What would change an answer and is not computed is refused."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engine import Sampling
from apps.lm.schemas import Stop, Stops, not_too_cold


def only(neutral: object) -> Any:
    """A field that may be absent, null or say what is done anyway."""

    def check(value: object) -> object:
        if value not in (None, neutral):
            raise ValueError(f"is not computed here; leave it out or give {json.dumps(neutral)}")
        return value

    return Annotated[Any, AfterValidator(check), Field(description=f"only {json.dumps(neutral)}")]


def _text(value: object) -> object:
    """Join a list of text parts; anything else is left for its field to judge."""
    if not isinstance(value, list) or not value:
        return value
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("has parts that are not text, and the model reads nothing else")
    return "\n".join(texts)


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


class Wanted(BaseModel):
    """What both requests have in common."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(description="the name that /v1/models lists")
    max_tokens: Tokens = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False), AfterValidator(not_too_cold)] = Field(
        None, description="1 by default; 0: always the best token"
    )
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[int | None, Field(ge=1)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    stop: Stop | Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: only(1) = None
    presence_penalty: only(0) = None
    frequency_penalty: only(0) = None
    logit_bias: only({}) = None
    user: Ignored = None

    @property
    def most(self) -> int | None:
        """The most tokens of the answer; None for the default."""
        return self.max_tokens

    @property
    def sampling(self) -> Sampling:
        """How the engine chooses tokens; drawn unless the temperature is 0, as OpenAI's clients expect."""
        return Sampling(1.0 if self.temperature is None else self.temperature, self.top_k, self.top_p, self.seed)

    @property
    def stops(self) -> list[str]:
        """The stop sequences, none or more."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def counted(self) -> bool:
        """Whether a stream tells its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(Wanted):
    """A text to continue."""

    prompt: Annotated[Any, AfterValidator(_prompt), TEXT] = Field(description="one text to continue")
    best_of: only(1) = None
    echo: only(False) = None
    logprobs: only(None) = None
    suffix: only("") = None


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text), TEXT]
    name: Ignored = None

    @property
    def turn(self) -> dict[str, str]:
        """What chat templates read."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class ChatRequest(Wanted):
    """A conversation to answer."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=2048)]
    max_completion_tokens: Tokens = None
    logprobs: only(False) = None
    top_logprobs: only(0) = None
    response_format: only({"type": "text"}) = None
    tools: only([]) = None
    tool_choice: only("none") = None
    metadata: Ignored = None
    store: Ignored = None
    safety_identifier: Ignored = None

    @property
    def most(self) -> int | None:
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
