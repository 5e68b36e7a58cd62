"""Checks of JSON answers, whose texts say what violates the contract."""

import json
from typing import Any

from loadgen.targets.target import InvalidAnswer

MAX_TOKENS = 2**31 - 1


def parsed(body: bytes) -> Any:
    """Return the body's JSON. Raises InvalidAnswer if it is not JSON, or is nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidAnswer("the body is not JSON") from None


def require(answer: Any, name: str, expected: type | tuple[type, ...]) -> Any:
    """Return `answer[name]`; raise InvalidAnswer if it is missing or not of an `expected` type."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if value is None:
        raise InvalidAnswer(f"`{name}` is missing", version_of(answer))
    if not isinstance(value, expected) or isinstance(value, bool):
        raise InvalidAnswer(f"`{name}` has the wrong type", version_of(answer))
    return value


def completion_tokens(usage: Any, version: str | None = None) -> int:
    """Return the count of a usage object; raise InvalidAnswer if it is none that a record can hold."""
    tokens: int = require(usage, "completion_tokens", int)
    if not 0 <= tokens <= MAX_TOKENS:
        raise InvalidAnswer("`completion_tokens` is no number of tokens", version)
    return tokens


def version_of(answer: Any) -> str | None:
    """Return the answer's model version, for the record of an answer that is otherwise invalid."""
    version = answer.get("model_version") if isinstance(answer, dict) else None
    return version if isinstance(version, str) else None
