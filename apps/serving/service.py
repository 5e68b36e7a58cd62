"""What a service gives to the core: its settings, its model and its routes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from apps.serving.settings import ServingSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.serving.problems import Problem
    from apps.serving.runtime import Runtime


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


class Service(ABC):
    """One kind of model behind HTTP. An object belongs to one running process."""

    name: ClassVar[str]  # in logs, such as "classifier-service"
    title: ClassVar[str]  # of the OpenAPI document
    description: ClassVar[str] = ""
    Settings: ClassVar[type[ServingSettings]] = ServingSettings
    unplaced_status: ClassVar[int] = 504  # of a request whose turn did not come before its deadline; or 503

    @abstractmethod
    def load(self, settings: Any) -> Model:
        """Load and verify the model; runs once, in a thread, while /healthz answers `starting`.

        Raises LoadError or RegistryError, each one line, when it cannot be served: the process then exits 1.
        """

    def warm_up(self, model: Any) -> None:  # noqa: B027  (optional)
        """Make the first request as fast as the next; runs after `load`, in the same thread, before ready."""

    def ready(self, runtime: "Runtime", model: Any) -> None:  # noqa: B027  (optional)
        """Begin what needs to know the model, such as metrics under its name; runs in the event loop."""

    def failure(self, model: Any) -> str | None:
        """Why the loaded model can answer nothing any more, in one sentence for everybody: the process is restarted.

        Every probe and request asks, so it only looks. None: it can.
        """
        return None

    def error(self, path: str, problem: "Problem") -> object | None:
        """What the clients of a protocol at `path` look for in a problem's member `error`; None: nothing."""
        return None

    @abstractmethod
    def add_routes(self, app: "FastAPI", runtime: "Runtime") -> None:
        """Register the service's own endpoints; each computes by `runtime.compute`."""
