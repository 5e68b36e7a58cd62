"""Which model answers, and why one cannot: what everything about a model refers to."""

from dataclasses import dataclass, field
from typing import Any, Protocol


class LoadError(Exception):
    """Why a model cannot be served, in one line: what was given, the rule and the remedy."""


@dataclass(frozen=True)
class Identity:
    """Which model answers. `sha256` is None for a hub id, whose commit then stands in `facts`.

    `facts` are further JSON values that /healthz shows with the model.
    """

    name: str
    version: str
    sha256: str | None
    engine: str
    facts: dict[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """A loaded model: anything that knows its identity."""

    @property
    def identity(self) -> Identity: ...
