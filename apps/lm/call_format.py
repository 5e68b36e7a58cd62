"""Reads from a chat template how its model writes the call of a function: the template writes such calls itself.

A conversation with a call is rendered, and again with a text in its place: where they differ is the call. llama.cpp
learns formats in a similar way.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Render = Callable[[Sequence[dict[str, Any]], Sequence[dict[str, Any]]], str]  # (messages, tools); empty: refused

NAME, KEY, VALUE, TEXT = "probed_function", "probed_parameter", "probed_value", "⁂probed text⁂"
ID = "probe0001"  # Mistral's templates take only ids of nine letters or digits
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "A function.",
        "parameters": {
            "type": "object",
            "properties": {KEY: {"type": "string", "description": "A parameter."}},
            "required": [KEY],
        },
    },
}
MAX_MARK = 256  # characters of the opening or closing of a call, which are read in every answer
QUESTION: dict[str, Any] = {"role": "user", "content": "Hello"}
CALL: dict[str, Any] = {"id": ID, "type": "function", "function": {"name": NAME, "arguments": {KEY: VALUE}}}
RESULT = {"role": "tool", "tool_call_id": ID, "name": NAME, "content": "done"}


@dataclass(frozen=True)
class CallFormat:
    """A call is `opening`, a JSON object or a list of them, and `closing`, which can both be empty.

    `name` and `arguments` are the members of the object that hold those of the call.
    """

    opening: str
    closing: str
    name: str
    arguments: str

    def decoded(self, decode: Callable[[str], str]) -> "CallFormat":
        """The same in the text of an answer, which has no special tokens; `decode` removes them from a text."""
        return replace(self, opening=decode(self.opening).strip(), closing=decode(self.closing).strip())

    def read(self, value: Any) -> list[tuple[str, dict[str, Any]]]:
        """The name and the arguments of each call in the JSON between opening and closing; none if it is no call."""
        entries = value if isinstance(value, list) else [value]
        calls = [self._read_one(entry) for entry in entries]
        return [call for call in calls if call] if all(calls) else []

    def _read_one(self, entry: Any) -> tuple[str, dict[str, Any]] | None:
        match entry:
            case {self.name: str(name), self.arguments: dict(arguments)}:
                return name, arguments
        return None


@dataclass(frozen=True)
class ToolSupport:
    """What a template does with tools: `shows` them to the model, `writes` the calls of earlier turns.

    `format` is that of the calls, None if there is none or it is not one of JSON.
    """

    shows: bool
    writes: bool
    format: CallFormat | None


NO_TOOLS = ToolSupport(shows=False, writes=False, format=None)


def tool_support(render: Render) -> ToolSupport:
    """Return what the template behind `render` does with tools."""
    shown = render([QUESTION], [TOOL])
    turns: list[dict[str, Any]] = [{"content": "", "tool_calls": [CALL]}, {"content": TEXT}]
    called, texted = (render([QUESTION, {"role": "assistant", **turn}, RESULT], [TOOL]) for turn in turns)
    writes = VALUE in called
    return ToolSupport(NAME in shown, writes, _format(called, texted) if writes and TEXT in texted else None)


def _format(called: str, texted: str) -> CallFormat | None:
    before, _, after = texted.partition(TEXT)
    if not (called.startswith(before) and called.endswith(after)):
        return None  # a turn with a call differs from one with a text in more than that
    text = called[len(before) : len(called) - len(after)]
    for index, character in enumerate(text):
        if character not in "[{":
            continue
        try:
            value, length = json.JSONDecoder().raw_decode(text[index:])
        except ValueError:
            continue
        entry = value[0] if isinstance(value, list) and value else value
        if isinstance(entry, dict) and NAME in entry.values() and {KEY: VALUE} in entry.values():
            members = {json.dumps(member): key for key, member in entry.items()}
            name, arguments = members[json.dumps(NAME)], members[json.dumps({KEY: VALUE})]
            opening, closing = text[:index], text[index + length :]
            return CallFormat(opening, closing, name, arguments) if len(opening + closing) <= MAX_MARK else None
    return None
