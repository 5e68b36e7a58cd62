"""The parts of requests and responses that the protocols share."""

from abc import abstractmethod
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from apps.lm.answer import AnswerOptions
from apps.lm.engines.protocol import Grammar
from apps.lm.model import LanguageModel
from apps.serving.http.body import inlined_schema

MIN_TEMPERATURE = 0.01  # below this, logits / temperature overflows
MAX_STOPS = 8
Mistake = tuple[tuple[str | int, ...], str]  # its place below the field, and the rule


def mistakes(*several: Mistake) -> PydanticCustomError:
    """Return an error that a validator raises to report mistakes with their places below its field."""
    return PydanticCustomError("mistakes", "has mistakes", {"mistakes": list(several)})


def _check_temperature(temperature: float) -> float:
    if temperature and temperature < MIN_TEMPERATURE:
        rule = f"is between 0 and {MIN_TEMPERATURE}; give 0 for the best token, or {MIN_TEMPERATURE} or more"
        raise ValueError(rule)
    return temperature


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_stops(value: object) -> object:
    """A list of the stop sequences; one can be sent as it is."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(stop, str) and stop for stop in value):
        raise ValueError("is not a text or a list of texts, none of them empty")
    if len(value) > MAX_STOPS:
        raise ValueError(f"has {len(value)} texts; give up to {MAX_STOPS}")
    return value


Integer = Annotated[int, BeforeValidator(_whole)]  # 6.0 is 6, as JSON has only numbers
Seed = Annotated[Integer, Field(ge=-(2**63), lt=2**63)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False), AfterValidator(_check_temperature)]
STOP_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1}
Stops = Annotated[
    list[str],
    BeforeValidator(_check_stops),
    WithJsonSchema({"anyOf": [STOP_SCHEMA, {"type": "array", "items": STOP_SCHEMA, "maxItems": MAX_STOPS}]}),
]


class Body(BaseModel):
    """A JSON object that a client sends. A member that is null counts as absent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: object) -> object:
        return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(schema)
        document = handler.resolve_ref_schema(reference)
        required = document.get("required", [])
        for name, member in document["properties"].items():
            if name not in required:
                described = {key: member.pop(key) for key in ("title", "description", "default") if key in member}
                document["properties"][name] = described | ({"anyOf": [member, {"type": "null"}]} if member else {})
        document["additionalProperties"] = {"type": "null"}
        return reference


class AnswerRequest(Body):
    """A request for an answer, whatever its protocol calls the fields."""

    @abstractmethod
    def tokenize(self, model: LanguageModel) -> list[list[int]]:
        """The tokens of each prompt; raise PromptError, ChatError or Problem."""

    @property
    def copies(self) -> int:
        """The number of answers to each prompt."""
        return 1

    @abstractmethod
    def options(self, copy: int) -> AnswerOptions:
        """How answer number `copy` to a prompt is generated, and when it ends."""

    def grammar(self, model: LanguageModel) -> Grammar | None:
        """What holds the answers to a JSON schema, if anything; raise SchemaError or Problem."""
        return None

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
