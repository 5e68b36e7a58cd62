"""Requests whose answer can be the call of a function, and the call in the answer's text."""

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from apps.lm.api.openai.problems import invalid_schema
from apps.lm.api.openai.schemas import OpenAIRequest
from apps.lm.api.openai.tools import Function, call_schema, choice_mistakes, demanded
from apps.lm.api.schemas import Mistake
from apps.lm.engines.protocol import Grammar, SchemaError
from apps.lm.model import LanguageModel

NAMED_CALL = re.compile(r'\{"name": "([^"]+)", "arguments": ')  # as the grammar writes it


class CallRequest(OpenAIRequest):
    """A request with the field `tools`, of which protocols have their own form."""

    tool_choice: Any = "auto"

    @property
    @abstractmethod
    def offered(self) -> Sequence[Function]:
        """Those of `tools`."""

    @property
    @abstractmethod
    def text_schema(self) -> dict[str, Any] | None:
        """The JSON schema of an answer that is a text; None for any text."""

    @property
    def called(self) -> Sequence[Function]:
        return demanded(self.offered, self.tool_choice)

    @property
    def held_to(self) -> dict[str, Any] | None:
        return call_schema(self.called) if self.called else self.text_schema

    @property
    def held_by(self) -> str:
        return "tools" if self.called else self.format_field

    def conflicts(self) -> list[Mistake]:
        """See `OpenAIRequest`."""
        several = super().conflicts() + choice_mistakes(self.offered, self.tool_choice)
        if self.called and self.text_schema is not None:
            rule = "is that of a text, and tool_choice demands a call; leave one out"
            several.append(((self.format_field,), rule))
        return several

    def grammar(self, model: LanguageModel) -> Grammar | None:
        """See `OpenAIRequest`."""
        try:
            return super().grammar(model)
        except SchemaError as error:
            raise invalid_schema(error, self.held_by) from None

    def written_call(self, name: str, arguments: str) -> str:
        """A call that is sent back, as the model reads it: its arguments, with the name if there are several tools."""
        return arguments if len(self.offered) < 2 else f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}'


class Call:
    """Divides an answer's text, which comes in pieces, into the name and the arguments of one of `functions`.

    `name` is empty until the text has it.
    """

    def __init__(self, functions: Sequence[Function]) -> None:
        self._named = len(functions) > 1
        self.id, self.name, self.arguments = f"call_{uuid4().hex}", "" if self._named else functions[0].name, ""
        self._rest = ""  # what has come and is not known to be arguments

    def push(self, text: str) -> str:
        """Return the next piece of the arguments."""
        if not self._named:
            return self._add(text)
        self._rest += text
        if not self.name:
            if not (beginning := NAMED_CALL.match(self._rest)):
                return ""
            self.name, self._rest = beginning[1], self._rest[beginning.end() :]
        piece, self._rest = self._rest[:-1], self._rest[-1:]  # the last brace of the text is the call's own
        return self._add(piece)

    def finish(self) -> str:
        """Return the last piece of the arguments, when the text has ended."""
        rest, self._rest = self._rest, ""
        return "" if not self.name or (rest == "}" and _is_json(self.arguments)) else self._add(rest)

    def written(self, arguments: str) -> dict[str, Any]:
        """The call as chats have it, with these arguments."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}

    def _add(self, piece: str) -> str:
        self.arguments += piece
        return piece


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
