"""The request and the responses of /generate, as clients and the OpenAPI document see them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from apps.lm.answer import AnswerOptions
from apps.lm.api.schemas import (
    MAX_STOPS,
    MIN_TEMPERATURE,
    AnswerRequest,
    Integer,
    Seed,
    Stops,
    Temperature,
    Usage,
    event_stream,
)
from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engines.protocol import Sampling
from apps.lm.model import LanguageModel
from apps.serving.problems import COMPUTED


class GenerateRequest(AnswerRequest):
    """A prompt to continue."""

    prompt: Annotated[str, Field(min_length=1, description="the text to continue")]
    max_new_tokens: Annotated[
        Integer,
        Seed,
        Field(
            ge=1,
            description=f"most tokens of the answer, {DEFAULT_ANSWER_TOKENS} by default; "
            "more than fits beside the prompt is cut, with finish_reason length",
        ),
    ] = DEFAULT_ANSWER_TOKENS
    temperature: Annotated[
        Temperature,
        Field(description=f"0: always the best token; from {MIN_TEMPERATURE} on: drawn, the flatter the higher"),
    ] = 0.0
    top_p: Annotated[
        float | None,
        Field(
            gt=0, le=1, allow_inf_nan=False, description="draw from the likeliest tokens that have this share together"
        ),
    ] = None
    top_k: Annotated[Integer | None, Field(ge=1, description="draw from this many of the likeliest tokens")] = None
    seed: Annotated[Seed | None, Field(description="the same seed draws the same answer")] = None
    stop: Annotated[
        Stops, Field(description=f"texts that end the answer and are not part of it, up to {MAX_STOPS}")
    ] = []  # noqa: RUF012
    stream: Annotated[bool, Field(description="send the answer piece by piece, as server-sent events")] = False

    @model_validator(mode="after")
    def _require_temperature(self) -> "GenerateRequest":
        if self.temperature == 0 and not (self.top_p is None and self.top_k is None):
            raise ValueError("top_p and top_k restrict sampling, but temperature 0 does not sample; set it too")
        return self

    def tokenize(self, model: LanguageModel) -> list[list[int]]:
        """See `AnswerRequest`, also for the others."""
        return [model.tokenize(self.prompt)]

    def options(self, copy: int) -> AnswerOptions:
        sampling = Sampling(self.temperature, self.top_k, self.top_p, self.seed)
        return AnswerOptions(self.max_new_tokens, sampling, self.stop)

    @property
    def streamed(self) -> bool:
        return self.stream


class Timings(BaseModel):
    """Seconds since the request arrived."""

    first_token_seconds: float
    total_seconds: float


class GenerateResponse(BaseModel):
    """The continuation, without the prompt."""

    model_config = ConfigDict(protected_namespaces=())

    generated_text: str
    finish_reason: Literal["stop", "length"] = Field(
        description="stop: the model ended its answer or a stop sequence came; length: its tokens were used up"
    )
    stop_reason: Literal["deadline"] | None = Field(
        None, description="only in an answer that ended with what it had at the deadline"
    )
    usage: Usage
    model_version: str
    timings: Timings


class Piece(BaseModel):
    """An event of a stream, before the last, which is the whole answer."""

    text: str
    usage: Usage


class StreamError(BaseModel):
    """The last event, named `error`, of a stream that fails after its first piece."""

    status: int
    detail: str


EXAMPLES: dict[str, Any] = {
    "short": {
        "summary": "A few words more",
        "value": {"prompt": "The capital of France is", "max_new_tokens": 8},
    },
    "default": {
        "summary": f"Up to {DEFAULT_ANSWER_TOKENS} tokens",
        "value": {"prompt": "Once upon a time there was a little girl who"},
    },
    "drawn": {
        "summary": "Drawn instead of best, repeatable, and ended by a full stop",
        "value": {"prompt": "My favourite animal is", "temperature": 0.8, "top_p": 0.9, "seed": 7, "stop": "."},
    },
    "streamed": {
        "summary": "Piece by piece, as server-sent events",
        "value": {"prompt": "The capital of France is", "max_new_tokens": 8, "stream": True},
    },
}

ANSWER_EXAMPLE: dict[str, Any] = {
    "generated_text": " Paris.",
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    "model_version": "v1",
    "timings": {"first_token_seconds": 0.2114, "total_seconds": 0.4407},
}

STREAM_EXAMPLE = """\
data: {"text": " Paris", "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}

data: {"generated_text": " Paris.", "finish_reason": "stop", "usage": {"prompt_tokens": 5, "completion_tokens": 3, \
"total_tokens": 8}, "model_version": "v1", "timings": {"first_token_seconds": 0.2114, "total_seconds": 0.4407}}
"""
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {"example": ANSWER_EXAMPLE},
            "text/event-stream": event_stream(STREAM_EXAMPLE, Piece, GenerateResponse, StreamError),
        }
    }
} | COMPUTED
