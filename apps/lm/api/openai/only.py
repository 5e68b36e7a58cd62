"""Refuses parameters that would change an answer and are not supported, and accepts the values that change nothing."""

import json
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

Ignored = Annotated[Any, Field(description="accepted and ignored, as it changes no answer")]


class Only:
    """Marks a field that must be absent or one of `values`, which say what is done anyway."""

    def __init__(self, *values: object, text: str = "", remedy: str = "") -> None:
        self.values = values
        self._text = text or " or ".join(map(json.dumps, values)) or "null"
        self._remedy = remedy or f"leave it out or give {self._text}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"description": f"only {self._text}"}

    def _check(self, value: object) -> object:
        if value not in self.values:
            raise ValueError(f"is not supported here; {self._remedy}")
        return value


EMPTY = Only("", [], {}, text="null")
