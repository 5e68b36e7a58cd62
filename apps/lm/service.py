"""The language model on the serving core: what it loads, how it warms up, which routes it has."""

from typing import TYPE_CHECKING, ClassVar

from apps.lm import engines, probes, routes, source
from apps.lm.settings import LanguageModelSettings
from apps.serving.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.lm.model import LanguageModel
    from apps.serving.runtime import Runtime


class LanguageModelService(Service):
    """The engine is imported by `load`, when the port already answers `starting`."""

    name = "lm-service"
    title = "Language model"
    description: ClassVar[str] = "Continues a prompt, greedily and within a budget of tokens."
    Settings = LanguageModelSettings

    def load(self, settings: LanguageModelSettings) -> "LanguageModel":
        """Verify or fetch the model, then load it by the engine that it is for."""
        return engines.load(source.find(settings), settings)

    def warm_up(self, model: "LanguageModel") -> None:
        """Answer the manifest's first probe, and refuse to serve a model that computes something else."""
        probes.check(model)

    def add_routes(self, app: "FastAPI", runtime: "Runtime") -> None:
        """POST /generate."""
        routes.add_routes(app, runtime)
