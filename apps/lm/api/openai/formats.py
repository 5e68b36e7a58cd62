"""The forms of an answer that can be requested: text, a JSON object, or JSON of a schema."""

from typing import Any, Literal

from pydantic import Field, model_validator

from apps.lm.api.openai.only import Ignored
from apps.lm.api.schemas import Body, mistakes

ANY_OBJECT: dict[str, Any] = {"type": "object"}


class JsonSchema(Body):
    """A JSON schema with its name. It always holds, `strict` or not."""

    name: Ignored = None
    description: Ignored = None
    strict: Ignored = None
    content: dict[str, Any] = Field(ANY_OBJECT, alias="schema")


class ResponseFormat(Body):
    """Of /v1/completions and /v1/chat/completions."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    value: dict[str, Any] = Field(ANY_OBJECT, description="schema of a json_object, as Hugging Face's client sends it")

    @model_validator(mode="after")
    def _require_schema(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.json_schema is None:
            raise mistakes((("json_schema",), "is required"))
        return self

    @property
    def held_to(self) -> dict[str, Any] | None:
        """The JSON schema that answers are held to; None for any text."""
        if self.json_schema and self.type == "json_schema":
            return self.json_schema.content
        return self.value if self.type == "json_object" else None


class TextFormat(JsonSchema):
    """Of /v1/responses, which has the schema beside its type."""

    type: Literal["text", "json_object", "json_schema"] = "text"

    @property
    def written(self) -> dict[str, Any]:
        """The format as an answer repeats it."""
        schema = {"name": self.name, "schema": self.content, "strict": True}
        return {"type": self.type} | (schema if self.type == "json_schema" else {})

    @property
    def held_to(self) -> dict[str, Any] | None:
        """See `ResponseFormat`."""
        return self.content if self.type == "json_schema" else {"text": None, "json_object": ANY_OBJECT}[self.type]
