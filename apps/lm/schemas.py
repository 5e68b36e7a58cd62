"""What /generate takes and gives, as its clients and the OpenAPI document see it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.engine import Sampling
from apps.serving.body import inlined_schema
from apps.serving.problems import COMPUTED

COLDEST = 0.01  # nearer to 0, what is divided by it is no longer a number
Stop = Annotated[str, Field(min_length=1, max_length=100)]
Stops = Annotated[list[Stop], Field(max_length=8)]


def not_too_cold(temperature: float | None) -> float | None:
    """Refuse what is neither 0 nor far enough from it."""
    if temperature and temperature < COLDEST:
        raise ValueError(f"is between 0 and {COLDEST}; give 0 for the best token, or {COLDEST} or more")
    return temperature


class GenerateRequest(BaseModel):
    """A prompt to continue."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(min_length=1, description="the text to continue")]
    max_new_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description=f"most tokens of the answer, {DEFAULT_ANSWER_TOKENS} by default; "
            "more than fits beside the prompt is cut, with finish_reason length",
        ),
    ] = None
    temperature: Annotated[
        float,
        Field(
            ge=0,
            le=2,
            allow_inf_nan=False,
            description=f"0: always the best token; from {COLDEST} on: drawn, the flatter the higher",
        ),
        AfterValidator(not_too_cold),
    ] = 0.0
    top_p: Annotated[
        float | None,
        Field(
            gt=0, le=1, allow_inf_nan=False, description="draw from the likeliest tokens that have this share together"
        ),
    ] = None
    top_k: Annotated[int | None, Field(ge=1, description="draw from this many of the likeliest tokens")] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="the same seed draws the same answer")] = None
    stop: Annotated[Stop | Stops, Field(description="texts that end the answer and are not part of it, up to 8")] = []

    stream: Annotated[bool, Field(description="send the answer piece by piece, as server-sent events")] = False

    @model_validator(mode="after")
    def _drawn(self) -> "GenerateRequest":
        if self.temperature == 0 and not (self.top_p is None and self.top_k is None):
            raise ValueError("top_p and top_k narrow what is drawn from, and temperature 0 draws nothing; set it too")
        return self

    @property
    def sampling(self) -> Sampling:
        """How the engine chooses tokens."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.seed)

    @property
    def stops(self) -> list[str]:
        """The stop sequences, none or more."""
        return [self.stop] if isinstance(self.stop, str) else self.stop


class Usage(BaseModel):
    """Counts of tokens; the one that ends an answer counts, and so do those of a stop sequence."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


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


def event_stream(example: str, *events: type[BaseModel]) -> dict[str, Any]:
    """The text/event-stream of a 200 in the OpenAPI document; the data of each event is one of `events`."""
    schemas = [inlined_schema(event) for event in events]
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": schemas}}
    item = {"type": "object", "required": ["data"], "properties": {"event": {"type": "string"}, "data": data}}
    return {"itemSchema": item, "example": example}


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
ANSWERS: Any = {
    200: {
        "content": {
            "application/json": {"example": ANSWER_EXAMPLE},
            "text/event-stream": event_stream(STREAM_EXAMPLE, Piece, GenerateResponse, StreamError),
        }
    }
} | COMPUTED
