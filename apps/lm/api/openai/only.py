"""Refuses parameters that would change an answer and are not supported, and accepts the values that change nothing."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function


@dataclass(frozen=True, eq=False)  # typing would take Only(0) for Only(False)
class Only:
    """Marks a field that must be absent, null or `value`, which says what is done anyway."""

    value: object

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"description": f"only {json.dumps(self.value)}"}

    def _check(self, value: object) -> object:
        if value not in (None, self.value):
            raise ValueError(f"is not supported here; leave it out or give {json.dumps(self.value)}")
        return value
