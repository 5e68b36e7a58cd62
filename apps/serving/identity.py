"""Identifies the model that is served. Everything that concerns a model uses these types."""

from dataclasses import dataclass, field
from typing import Any, Protocol


class LoadError(Exception):
    """Why a model cannot be served, in one line: the value, the rule and the remedy."""


@dataclass(frozen=True)
class Identity:
    """The model's name and version. `sha256` is None for a hub id; its commit is then one of the `facts`.

    `facts` are further JSON values that /healthz shows with the model.
    """

    name: str
    version: str
    sha256: str | None
    engine: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, str | None]:
        """All but the facts, as JSON values."""
        return {key: getattr(self, key) for key in ("name", "version", "sha256", "engine")}


class Model(Protocol):
    """A loaded model: any object with an identity."""

    @property
    def identity(self) -> Identity: ...
