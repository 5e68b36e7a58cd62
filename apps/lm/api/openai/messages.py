"""The turns of a conversation, as clients write them and as they send back the model's."""

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import from_json

from apps.lm.api.openai.only import EMPTY, Ignored
from apps.lm.api.schemas import Body, mistakes

TEXT_TYPES = ("text", "input_text", "output_text")  # of parts; the last two are those of /v1/responses
Turn = dict[str, Any]  # a message, see `Message.turn`


def joined_text(value: object) -> object:
    """Join a list of text parts; the field validates anything else."""
    if not isinstance(value, list) or not value:
        return value
    texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") in TEXT_TYPES]
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(value):
        raise ValueError("has parts that are not text, and the model reads nothing else")
    return "\n".join(strings)


class CalledFunction(Body):
    """A function with the arguments that the model wrote, as JSON."""

    name: str
    arguments: str
    parsed_arguments: Ignored = None  # the same, read by OpenAI's client


class ToolCall(Body):
    """A call in the model's turn, as an answer has it."""

    id: str = ""
    type: Literal["function"] = "function"
    index: Ignored = None
    function: CalledFunction


class Message(Body):
    """One turn of a conversation. Of the model's turn, all fields that an answer has are accepted."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        str,
        BeforeValidator(joined_text),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]}),
        Field(description="required, but the model's turn may have none"),
    ] = ""
    name: Ignored = None
    parsed: Ignored = None  # the content, read by OpenAI's client
    refusal: Annotated[Any, EMPTY] = None
    annotations: Annotated[Any, EMPTY] = None
    audio: Annotated[Any, EMPTY] = None
    function_call: Annotated[Any, EMPTY] = None
    tool_calls: list[ToolCall] = []  # noqa: RUF012
    tool_call_id: str = ""
    reasoning: Annotated[Any, EMPTY] = None
    reasoning_content: Annotated[Any, EMPTY] = None

    @model_validator(mode="after")
    def _require_content(self) -> "Message":
        if self.role != "assistant" and "content" not in self.model_fields_set:
            raise mistakes((("content",), "is required"))
        return self

    @property
    def turn(self) -> Turn:
        """The message, with its calls as `written_call` returns them, and with the call's id if it is a result."""
        turn: Turn = {"role": "system" if self.role == "developer" else self.role, "content": self.content}
        calls = [written_call(call.id, call.function.name, call.function.arguments) for call in self.tool_calls]
        result = {"tool_call_id": self.tool_call_id} if self.role == "tool" else {}
        return turn | ({"tool_calls": calls} if calls else {}) | result


def written_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a call as chats have it; the arguments are JSON."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def write_as_text(turns: Sequence[Turn], named: bool) -> list[Turn]:
    """Return the turns for a template that ignores calls, with the JSON of each as text, if `named` with its name."""

    def write(name: str, arguments: str) -> str:
        return f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}' if named else arguments

    def content(turn: Turn) -> str:
        calls = [write(**call["function"]) for call in turn.get("tool_calls", [])]
        return "\n".join([turn["content"], *calls] if turn["content"] or not calls else calls)

    return [{"role": turn["role"], "content": content(turn)} for turn in turns]


def write_for_template(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns for a template that writes calls: arguments are objects, and an answer's calls are one turn."""
    written: list[Turn] = []
    names: dict[str, str] = {}  # of functions, by the call's id
    for turn in turns:
        calls = [_for_template(call) for call in turn.get("tool_calls", [])]
        names |= {call["id"]: call["function"]["name"] for call in calls}
        if calls and not turn["content"] and written and written[-1]["role"] == "assistant":
            written[-1] = written[-1] | {"tool_calls": [*written[-1].get("tool_calls", []), *calls]}
        elif turn["role"] == "tool":
            call_id = _short(turn["tool_call_id"])
            written.append(turn | {"tool_call_id": call_id, "name": names.get(call_id, "")})
        else:
            written.append(turn | ({"tool_calls": calls} if calls else {}))
    return written


def _for_template(call: dict[str, Any]) -> dict[str, Any]:
    arguments = call["function"]["arguments"]
    with suppress(ValueError):  # of a call that was cut
        arguments = from_json(arguments)
    return call | {"id": _short(call["id"]), "function": call["function"] | {"arguments": arguments}}


def _short(call_id: str) -> str:
    """Mistral's templates take only ids of nine letters or digits."""
    return sha256(call_id.encode()).hexdigest()[:9]
