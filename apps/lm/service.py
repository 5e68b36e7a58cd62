"""The language model on the serving core: what it loads, how it warms up, which routes it has."""

import os
from typing import TYPE_CHECKING, ClassVar

from apps.lm import probes, routes, source
from apps.lm.budget import Budget
from apps.lm.settings import LanguageModelSettings
from apps.serving import cpu
from apps.serving.service import Identity, Service

if TYPE_CHECKING:
    from fastapi import FastAPI

    from apps.lm.model import LanguageModel
    from apps.serving.runtime import Runtime


class LanguageModelService(Service):
    """torch and transformers are imported by `load`, when the port already answers `starting`."""

    name = "lm-service"
    title = "Language model"
    description: ClassVar[str] = "Continues a prompt, greedily and within a budget of tokens."
    Settings = LanguageModelSettings

    def load(self, settings: LanguageModelSettings) -> "LanguageModel":
        """Verify or fetch the model, then load it."""
        found = source.find(settings)
        os.environ.setdefault("OMP_NUM_THREADS", str(cpu.threads()))  # read when torch is imported
        from apps.lm import loading, support
        from apps.lm.model import LanguageModel
        from apps.lm.torch_engine import TorchEngine

        tokenizer, weights = loading.load_model(found.folder)
        budget = Budget(min(settings.max_total_tokens, loading.context_tokens(weights) or settings.max_total_tokens))
        support.check(weights, budget.total)
        facts = {
            "revision": found.revision,
            "dtype": "float32",
            "threads": loading.threads(),
            "max_total_tokens": budget.total,
        }
        identity = Identity(found.name, found.version, found.sha256, source.ENGINE, facts)
        ends = loading.end_tokens(tokenizer, weights)
        return LanguageModel(
            identity,
            tokenizer,
            TorchEngine(weights, settings.max_in_flight, budget.total),
            budget,
            ends,
            found.probes,
        )

    def warm_up(self, model: "LanguageModel") -> None:
        """Answer the manifest's first probe, and refuse to serve a model that computes something else."""
        probes.check(model)

    def add_routes(self, app: "FastAPI", runtime: "Runtime") -> None:
        """POST /generate."""
        routes.add_routes(app, runtime)
