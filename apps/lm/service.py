"""The language model on the serving core: what it loads, how it warms up, which routes it has."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from apps.lm import engines, probes, routes, source
from apps.lm.answering import Answering
from apps.lm.metrics import Meter
from apps.lm.openai import forms
from apps.lm.openai import routes as openai_routes
from apps.lm.settings import LanguageModelSettings
from apps.serving import page
from apps.serving.admission import Admission
from apps.serving.metrics import Metrics
from apps.serving.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.lm.model import LanguageModel
    from apps.serving.problems import Problem
    from apps.serving.runtime import Runtime

LOG = logging.getLogger("lm")
T = TypeVar("T")


class LanguageModelService(Service):
    """The engine is imported by `load`, when the port already answers `starting`."""

    name = "lm-service"
    title = "Language model"
    description: ClassVar[str] = (
        "Continues a prompt within a budget of tokens; OpenAI's clients find their API below /v1."
    )
    Settings = LanguageModelSettings
    unplaced_status = 503

    def load(self, settings: LanguageModelSettings) -> "LanguageModel":
        """Verify or fetch the model, then load it by the engine that it is for."""
        found = _timed("verified", lambda: source.find(settings))
        model = _timed("loaded", lambda: engines.load(found, settings))
        found.require_unchanged()
        return model

    def warm_up(self, model: "LanguageModel") -> None:
        """Answer the manifest's first probe, and refuse to serve a model that computes something else."""
        probes.check(model)

    def add_routes(self, app: "FastAPI", runtime: "Runtime") -> None:
        """POST /generate, OpenAI's API and the page."""
        self._answering = Answering(runtime)
        routes.add_routes(app, self._answering)
        openai_routes.add_routes(app, self._answering)
        app.router.routes.extend(page.router(Path(__file__).parent / "page").routes)

    def ready(self, model: "LanguageModel", metrics: Metrics, admission: Admission) -> None:
        """Measure tokens under the model's name."""
        self._answering.meter = Meter(metrics.registry, admission, model.identity.name)

    def failure(self, model: "LanguageModel") -> str | None:
        """The engine's: its thread may have ended."""
        return model.engine.failure

    def error(self, path: str, problem: "Problem") -> dict | None:
        """OpenAI's clients look for theirs below /v1."""
        return forms.error(problem) if path.startswith("/v1/") else None


def _timed(what: str, function: Callable[[], T]) -> T:
    """Say in the log how far the start has come: it takes seconds, and for a hub id minutes."""
    begun = time.monotonic()
    result = function()
    LOG.info(what, extra={"seconds": round(time.monotonic() - begun, 3)})
    return result
