"""The interface that each service implements: its settings, its model and its routes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from fastapi import APIRouter

from apps.serving.admission import Admission
from apps.serving.identity import Model
from apps.serving.metrics import Metrics
from apps.serving.problems import Problem
from apps.serving.settings import ServingSettings


class Service(ABC):
    """One kind of model behind HTTP. An instance belongs to one running process."""

    name: ClassVar[str]  # in logs, such as "classifier-service"
    title: ClassVar[str]  # of the OpenAPI document
    description: ClassVar[str] = ""
    Settings: ClassVar[type[ServingSettings]] = ServingSettings
    routers: ClassVar[Sequence[APIRouter]] = ()  # made with problems.RESPONSES; endpoints compute by Runtime.compute
    unplaced_status: ClassVar[int] = 504  # of a request whose deadline passes before it computes; or 503

    @abstractmethod
    def load(self, settings: Any) -> Model:
        """Load and verify the model. Runs once, in a thread, while /healthz answers `starting`.

        Raises LoadError or RegistryError, each with one line of text, if the model cannot be served: the process then
        exits with status 1.
        """

    def warm_up(self, model: Any) -> None:  # noqa: B027  (optional)
        """Run what makes later requests fast. Runs after `load`, in the same thread, before the service is ready."""

    def ready(self, model: Any, metrics: Metrics, admission: Admission) -> None:  # noqa: B027  (optional)
        """Start what needs the model, such as metrics of its own. Runs in the event loop."""

    def describe(self, document: dict[str, Any], model: Any) -> None:  # noqa: B027  (optional)
        """Change the OpenAPI `document` to what the loaded model takes and answers."""

    def failure(self, model: Any) -> str | None:
        """Return in one sentence why the loaded model cannot answer any more, so that the process is restarted.

        None means that it can. Every probe and request calls this, so it must be fast.
        """
        return None

    def error(self, path: str, problem: Problem) -> object | None:
        """Return the `error` member of a problem, which clients of the protocol at `path` expect; None for none."""
        return None
