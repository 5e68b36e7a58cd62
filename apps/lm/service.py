"""The language model service: how it loads a model, warms it up, and which routes it has."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from fastapi import APIRouter

from apps.lm import chat_template, probes, source
from apps.lm.api.generate import routes as generate
from apps.lm.api.openai import problems as openai_problems
from apps.lm.api.openai import routes as openai
from apps.lm.api.responses import routes as responses
from apps.lm.budget import Budget
from apps.lm.engines import registry
from apps.lm.metrics import TokenMeter
from apps.lm.model import LanguageModel
from apps.lm.settings import LanguageModelSettings
from apps.serving.admission import Admission
from apps.serving.http import page
from apps.serving.metrics import Metrics
from apps.serving.problems import Problem
from apps.serving.service import Service

LOG = logging.getLogger("lm")
T = TypeVar("T")


class LanguageModelService(Service):
    """`load` imports the engine, which takes seconds: the port answers `starting` meanwhile."""

    name: ClassVar[str] = "lm-service"
    title: ClassVar[str] = "Language model"
    description: ClassVar[str] = (
        "Continues a prompt within a budget of tokens; OpenAI's clients find their API below /v1."
    )
    Settings = LanguageModelSettings
    routers: ClassVar[Sequence[APIRouter]] = (
        generate.router,
        openai.router,
        responses.router,
        page.router(Path(__file__).parent / "page"),
    )
    unplaced_status: ClassVar[int] = 503

    def load(self, settings: LanguageModelSettings) -> LanguageModel:
        """Verify or fetch the model, then load it with its engine."""
        model_source = _timed("verified", lambda: self._obtain(settings), _model_and_path)
        loaded = _timed("loaded", lambda: registry.load(model_source.engine, model_source.folder, settings))
        model_source.require_unchanged()
        template = chat_template.template_of(loaded.tokenizer)
        return LanguageModel(
            model_source.identity(
                **loaded.facts,
                chat=template is not None,
                request_timeout_seconds=settings.request_timeout_seconds,
            ),
            loaded.tokenizer,
            loaded.engine,
            Budget(loaded.max_total_tokens),
            loaded.end_tokens,
            TokenMeter(model_source.name),
            loaded.make_grammar,
            model_source.probes,
            loaded.margin,
            template,
            settings.answer_seconds,
        )

    def warm_up(self, model: LanguageModel) -> None:
        """Answer the manifest's first decisive probe; raise LoadError if the model computes something else."""
        probes.check(model)

    def ready(self, model: LanguageModel, metrics: Metrics, admission: Admission) -> None:
        """Show the model's token metrics."""
        model.meter.register(metrics.registry, admission)

    def failure(self, model: LanguageModel) -> str | None:
        """Why the engine's thread has ended, if it has."""
        return model.engine.failure

    def error(self, path: str, problem: Problem) -> dict[str, object] | None:
        """The `error` that OpenAI's clients expect below /v1."""
        return openai_problems.error(problem) if path.startswith("/v1/") else None

    def _obtain(self, settings: LanguageModelSettings) -> source.Source:
        location = source.locate(settings)
        registry.require(location.engine, location.name)
        if isinstance(location, source.ModelFolder):
            registry.start_import(location.engine)
        return location.obtain(settings)


def _timed(step: str, function: Callable[[], T], fields: Callable[[T], dict[str, object]] = lambda _: {}) -> T:
    """Log how long a step of the start took, with `fields` of its result: loading takes seconds, fetching minutes."""
    started = time.monotonic()
    result = function()
    LOG.info(step, extra={"seconds": round(time.monotonic() - started, 3)} | fields(result))
    return result


def _model_and_path(model_source: source.Source) -> dict[str, object]:
    return {"model": model_source.identity().summary, "path": str(model_source.folder)}
