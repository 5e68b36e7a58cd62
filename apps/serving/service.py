"""What a service gives to the core: its settings, its model and its routes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import APIRouter

from apps.serving.admission import Admission
from apps.serving.identity import Model
from apps.serving.metrics import Metrics
from apps.serving.problems import Problem
from apps.serving.settings import ServingSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.serving.runtime import Runtime


class Service(ABC):
    """One kind of model behind HTTP. An object belongs to one running process."""

    name: ClassVar[str]  # in logs, such as "classifier-service"
    title: ClassVar[str]  # of the OpenAPI document
    description: ClassVar[str] = ""
    Settings: ClassVar[type[ServingSettings]] = ServingSettings
    routers: ClassVar[Sequence[APIRouter]] = ()  # with problems.RESPONSES; each endpoint computes by `Runtime.compute`
    unplaced_status: ClassVar[int] = 504  # of a request whose turn did not come before its deadline; or 503

    @abstractmethod
    def load(self, settings: Any) -> Model:
        """Load and verify the model; runs once, in a thread, while /healthz answers `starting`.

        Raises LoadError or RegistryError, each one line, when it cannot be served: the process then exits 1.
        """

    def warm_up(self, model: Any) -> None:  # noqa: B027  (optional)
        """Make the first request as fast as the next; runs after `load`, in the same thread, before ready."""

    def ready(self, model: Any, metrics: Metrics, admission: Admission) -> None:  # noqa: B027  (optional)
        """Begin what needs to know the model, such as metrics under its name; runs in the event loop."""

    def failure(self, model: Any) -> str | None:
        """Why the loaded model can answer nothing any more, in one sentence for everybody: the process is restarted.

        Every probe and request asks, so it only looks. None: it can.
        """
        return None

    def error(self, path: str, problem: Problem) -> object | None:
        """What the clients of a protocol at `path` look for in a problem's member `error`; None: nothing."""
        return None

    def add_routes(self, app: "FastAPI", runtime: "Runtime") -> None:  # noqa: B027  (until all have routers)
        """Register the service's own endpoints; each computes by `runtime.compute`."""
