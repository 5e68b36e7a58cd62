"""The parts of requests and responses that the protocols share."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from apps.lm.engines.protocol import Sampling
from apps.lm.model import LanguageModel
from apps.serving.http.body import inlined_schema

MIN_TEMPERATURE = 0.01  # below this, logits / temperature overflows
Stop = Annotated[str, Field(min_length=1, max_length=100)]
Stops = Annotated[list[Stop], Field(max_length=8)]


def _check_temperature(temperature: float | None) -> float | None:
    if temperature and temperature < MIN_TEMPERATURE:
        rule = f"is between 0 and {MIN_TEMPERATURE}; give 0 for the best token, or {MIN_TEMPERATURE} or more"
        raise ValueError(rule)
    return temperature


TemperatureRule = AfterValidator(_check_temperature)


class AnswerRequest(BaseModel):
    """A request for an answer, whatever its protocol calls the fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @abstractmethod
    def tokenize(self, model: LanguageModel) -> list[int]:
        """The prompt's tokens; raise PromptError, ChatError or Problem."""

    @property
    @abstractmethod
    def max_answer_tokens(self) -> int | None:
        """The most tokens of the answer; None for the default."""

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """How the engine chooses tokens."""

    @property
    @abstractmethod
    def stops(self) -> list[str]:
        """The stop sequences."""

    @property
    @abstractmethod
    def streamed(self) -> bool:
        """Whether the answer is sent in pieces."""


class Usage(BaseModel):
    """Counts of tokens; the one that ends an answer counts, and so do those of a stop sequence."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def event_stream(example: str, *events: type[BaseModel]) -> dict[str, Any]:
    """The text/event-stream of a 200 in the OpenAPI document; the data of each event is one of `events`."""
    schemas = [inlined_schema(event) for event in events]
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": schemas}}
    item = {"type": "object", "required": ["data"], "properties": {"event": {"type": "string"}, "data": data}}
    return {"itemSchema": item, "example": example}
