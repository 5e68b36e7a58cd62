"""Divides the text of an answer, which comes in pieces, into the model's words and its calls of functions."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from pydantic_core import from_json

from apps.lm.api.openai.tools import Function
from apps.lm.call_format import CallFormat

DECODER = json.JSONDecoder()
NAMED_CALL = re.compile(r'\{"name": "([^"]+)", "arguments": ')  # as the grammar of a demanded call writes it


class Call:
    """A call, number `index` of its answer, whose arguments are JSON that grows piece by piece."""

    def __init__(self, name: str, index: int = 0) -> None:
        self.id, self.name, self.index, self.arguments = f"call_{uuid4().hex}", name, index, ""


@dataclass(frozen=True)
class CallPiece:
    """A piece of the arguments of `call`, with `first` the first one."""

    call: Call
    arguments: str
    first: bool


Part = str | CallPiece  # a piece of the text, or of a call


class Reader(Protocol):
    """`demands` a call: the answer has no text. `parallel`: it can have more than one call."""

    demands: bool
    parallel: bool

    def push(self, text: str) -> list[Part]:
        """Return what the next piece of the answer completes."""

    def finish(self) -> list[Part]:
        """Return the rest, when the answer has ended."""


class TextReader:
    """Reads an answer that is a text."""

    demands = parallel = False

    def push(self, text: str) -> list[Part]:
        """See `Reader`."""
        return [text] if text else []

    def finish(self) -> list[Part]:
        """See `Reader`."""
        return []


class DemandedCallReader:
    """Reads the call of one of `functions`, in the form that `apps.lm.api.openai.tools.call_schema` has."""

    demands, parallel = True, False

    def __init__(self, functions: Sequence[Function]) -> None:
        self._named = len(functions) > 1
        self._call = None if self._named else Call(functions[0].name)
        self._begun = False
        self._rest = ""  # what has come and is not known to be arguments

    def push(self, text: str) -> list[Part]:
        """See `Reader`. The call begins when its name is known."""
        if not self._named:
            return self._add(text)
        self._rest += text
        if not self._call:
            if not (beginning := NAMED_CALL.match(self._rest)):
                return []
            self._call, self._rest = Call(beginning[1]), self._rest[beginning.end() :]
        piece, self._rest = self._rest[:-1], self._rest[-1:]  # the last brace of the text is the call's own
        return self._add(piece)

    def finish(self) -> list[Part]:
        """See `Reader`."""
        rest, self._rest = self._rest, ""
        return self._add("" if self._call and rest == "}" and _is_json(self._call.arguments) else rest)

    def _add(self, piece: str) -> list[Part]:
        if not self._call or (self._begun and not piece):
            return []
        first, self._begun = not self._begun, True
        self._call.arguments += piece
        return [CallPiece(self._call, piece, first)]


class ChosenCallReader:
    """Reads a text and the calls that the model makes in it, in its own `call_format`.

    A call is handed over when all of it has come. White space around it is not text. What calls none of `functions` is
    text, and so is what begins as a call and is no JSON up to the end. Without `parallel`, only the first call counts.
    """

    demands = False

    def __init__(self, call_format: CallFormat, functions: Sequence[Function], parallel: bool) -> None:
        self.parallel = parallel
        self._format, self._names = call_format, {function.name for function in functions}
        self._calls = 0
        self._rest = ""  # what has come and is not read
        # Returns parts of the rest; None if more must come, or nothing is left. True: the answer has ended.
        self._next: Callable[[bool], list[Part] | None] = self._read_text
        self._at_start = True  # of the answer or after a call, where a call without an opening can begin

    def push(self, text: str) -> list[Part]:
        """See `Reader`."""
        return self._read(text, ended=False)

    def finish(self) -> list[Part]:
        """See `Reader`."""
        return self._read("", ended=True)

    def _read(self, text: str, ended: bool) -> list[Part]:
        self._rest += text
        parts: list[Part] = []
        while (following := self._next(ended)) is not None:
            parts += following
        return parts

    def _read_text(self, ended: bool) -> list[Part] | None:
        if self._calls and self._at_start:
            self._rest = self._rest.lstrip()
        start, possible = self._find_call()
        if start >= 0:
            text, self._rest = self._rest[:start].rstrip(), self._rest[start:]
            self._next = self._read_call
            return [text] if text else []
        end = len(self._rest) if ended else len(self._rest[: len(self._rest) - possible].rstrip())
        text, self._rest = self._rest[:end], self._rest[end:]
        self._at_start = self._at_start and not text
        return [text] if text else None

    def _find_call(self) -> tuple[int, int]:
        """Return where a call begins, or -1, and the number of last characters that can be the beginning of one."""
        opening = self._format.opening
        if opening:
            lengths = range(min(len(opening) - 1, len(self._rest)), 0, -1)
            possible = next((length for length in lengths if opening.startswith(self._rest[-length:])), 0)
            return self._rest.find(opening), possible
        text = self._rest.lstrip()
        return (len(self._rest) - len(text) if self._at_start and text[:1] in ("{", "[") else -1), 0

    def _read_call(self, ended: bool) -> list[Part] | None:
        opening = self._format.opening
        body = self._rest[len(opening) :]
        try:
            value, end = _read_json(body)
        except (ValueError, RecursionError):
            return self._leave_call(len(self._rest)) if ended else None
        calls = self._format.read(value)
        if not calls or {name for name, _ in calls} - self._names:
            return self._leave_call(len(opening) + end)
        self._rest, self._next = body[end:], self._read_closing
        return [self._piece(name, arguments) for name, arguments in calls if self.parallel or not self._calls]

    def _leave_call(self, end: int) -> list[Part]:
        """Return what looked like a call as text, up to `end`."""
        text, self._rest = self._rest[:end], self._rest[end:]
        self._next, self._at_start = self._read_text, False
        return [text]

    def _piece(self, name: str, arguments: dict[str, Any]) -> CallPiece:
        call = Call(name, self._calls)
        self._calls += 1
        call.arguments = json.dumps(arguments, ensure_ascii=False)
        return CallPiece(call, call.arguments, first=True)

    def _read_closing(self, ended: bool) -> list[Part] | None:
        self._rest = self._rest.lstrip()
        if not ended and len(self._rest) < len(self._format.closing) and self._format.closing.startswith(self._rest):
            return None
        self._rest = self._rest.removeprefix(self._format.closing)
        self._next, self._at_start = self._read_text, True
        return []


def _read_json(text: str) -> tuple[Any, int]:
    """Return the JSON value that `text` begins with, and where it ends; raise ValueError or RecursionError."""
    start = len(text) - len(text.lstrip())
    _, end = DECODER.raw_decode(text, start)
    return from_json(text[:end], allow_inf_nan=False), end  # which refuses what JSON does not have, and half characters


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
