"""Functions that a client offers to the model.

A call that the request demands is JSON, and the answer is held to its schema, with any model: the arguments of the only
function that can be called or, of several, the name of the one that the model chooses and its arguments. A call that
the model need not make has a form of its own; see `apps.lm.call_format`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from apps.lm.api.openai.only import Ignored
from apps.lm.api.schemas import Body, Mistake

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
OTHERS = {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "$ref"}
WORDS = ("none", "auto", "required")
DESCRIBED = {"name", "description", "parameters", "strict"}
MAX_TOOLS = 128
CHOICE = "the function to call; required: one of tools; auto: as the model chooses, if its chat template shows tools"


class Function(Body):
    """A function, by the schema of its parameters."""

    name: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = NO_ARGUMENTS
    strict: Ignored = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The schema of a call's arguments: those that are declared, and no others."""
        arguments: dict[str, Any] = closed(self.parameters)
        return arguments

    @property
    def call(self) -> dict[str, Any]:
        """The schema of a call with its name. `$id` makes references in the arguments start from their own root."""
        arguments = {"$id": f"urn:function:{self.name}"} | self.arguments
        properties = {"name": {"const": self.name}, "arguments": arguments}
        return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}

    @property
    def described(self) -> dict[str, Any]:
        """The function as chat templates read it."""
        return {"type": "function", "function": self.model_dump(include=DESCRIBED, exclude_none=True)}


class Tool(Body):
    """A function that can be called."""

    type: Literal["function"]
    function: Function


@dataclass(frozen=True)
class Named:
    """The choice of a function by its name."""

    name: str


Choice = str | Named


def _chat_choice(value: object) -> Choice:
    match value:
        case {"type": "function", "function": {"name": str(name)}}:
            return Named(name)
    return _word(value, '{"type": "function", "function": {"name": …}}')


def _response_choice(value: object) -> Choice:
    match value:
        case {"type": "function", "name": str(name)}:
            return Named(name)
    return _word(value, '{"type": "function", "name": …}')


def _word(value: object, named: str) -> str:
    if isinstance(value, str) and value in WORDS:
        return value
    raise ValueError(f'is not "none", "auto", "required" or {named}')


def _choice_schema(**named: Any) -> WithJsonSchema:
    properties = {"type": {"const": "function"}, **named}
    return WithJsonSchema(
        {"anyOf": [{"enum": list(WORDS)}, {"type": "object", "required": [*properties], "properties": properties}]}
    )


NAME_SCHEMA: dict[str, Any] = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
ToolChoice = Annotated[Any, BeforeValidator(_chat_choice), _choice_schema(function=NAME_SCHEMA)]
ResponseToolChoice = Annotated[Any, BeforeValidator(_response_choice), _choice_schema(name={"type": "string"})]


def closed(schema: Any) -> Any:
    """Return a JSON schema whose objects have no properties but those that it declares, unless it says more of them.

    Small models would invent others until their tokens are used up.
    """
    if not isinstance(schema, dict):
        return schema
    result = schema | {
        name: {key: closed(part) for key, part in schema[name].items()}
        for name in ("properties", "$defs", "definitions")
        if isinstance(schema.get(name), dict)
    }
    if "items" in schema:
        result["items"] = closed(schema["items"])
    if isinstance(schema.get("anyOf"), list):
        result["anyOf"] = [closed(part) for part in schema["anyOf"]]
    return result | ({"additionalProperties": False} if "properties" in schema and not OTHERS & set(schema) else {})


def choice_mistakes(functions: Sequence[Function], choice: Choice) -> list[Mistake]:
    """What is wrong with a choice among functions."""
    names = [function.name for function in functions]
    if isinstance(choice, Named):
        rule = f"names {choice.name[:64]!r}, and tools have {', '.join(names) or 'no function'}"
        return [] if choice.name in names else [(("tool_choice",), rule)]
    if choice == "required" and not names:
        return [(("tool_choice",), "is required without tools; give some, or leave it out")]
    if choice == "required" and (twice := [name for name in names if names.count(name) > 1]):
        return [(("tools",), f"have the function {twice[0]!r} more than once; give each a name of its own")]
    return []


def demanded(functions: Sequence[Function], choice: Choice) -> list[Function]:
    """The functions of which one must be called; none if no call is demanded."""
    if isinstance(choice, Named):
        return [function for function in functions if function.name == choice.name][:1]
    return list(functions) if choice == "required" else []


def call_schema(functions: Sequence[Function]) -> dict[str, Any]:
    """The JSON schema of an answer that calls one of `functions`; see `apps.lm.api.openai.reading`."""
    if len(functions) == 1:
        return functions[0].arguments
    return {"anyOf": [function.call for function in functions]}
