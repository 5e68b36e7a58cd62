"""Functions that a client offers to the model.

A call that the request demands is the JSON of the function's parameters: the answer is held to their schema, with any
model. A call that the model may choose would have to be read from its text, in a form that each model family has for
itself; that is refused by name.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from apps.lm.api.openai.only import Ignored
from apps.lm.api.schemas import Body, Mistake

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
OTHERS = {"additionalProperties", "patternProperties", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "$ref"}
WORDS = ("none", "auto", "required")
MAX_TOOLS = 128
UNREAD = (
    "would be called as the model chooses, by texts in a form of its own that are not read here; "
    'set tool_choice to the function to call, to "required" with one tool, or to "none"'
)
NAMED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"const": "function"},
        "function": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}


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


class Tool(Body):
    """A function that can be called."""

    type: Literal["function"]
    function: Function


@dataclass(frozen=True)
class Named:
    """The choice of a function by its name."""

    name: str


def _choice(value: object) -> object:
    if isinstance(value, str) and value in WORDS:
        return value
    match value:
        case {"type": "function", "function": {"name": str(name)}}:
            return Named(name)
    raise ValueError('is not "none", "auto", "required" or {"type": "function", "function": {"name": …}}')


Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS)]
ToolChoice = Annotated[Any, BeforeValidator(_choice), WithJsonSchema({"anyOf": [{"enum": list(WORDS)}, NAMED_SCHEMA]})]


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


def mistake(tools: list[Tool], choice: str | Named) -> Mistake | None:
    """What is wrong with a choice among tools, if anything."""
    if isinstance(choice, Named):
        names = [tool.function.name for tool in tools]
        rule = f"names {choice.name[:64]!r}, and tools have {', '.join(names) or 'no function'}"
        return None if choice.name in names else (("tool_choice",), rule)
    if choice == "required" and len(tools) != 1:
        return ("tool_choice",), f"is required with {len(tools)} tools; give one tool, or name the function to call"
    return (("tools",), UNREAD) if tools and choice == "auto" else None


def demanded(tools: list[Tool], choice: str | Named) -> Function | None:
    """The function that must be called; None if there is none, or a mistake in the choice."""
    name = choice.name if isinstance(choice, Named) else None
    return next((tool.function for tool in tools if choice == "required" or tool.function.name == name), None)
