"""The classifier on the serving core: its settings, its model and its routes."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter

from apps.classifier.api import open_inference, picture, predict
from apps.classifier.model import Classifier, open_classifier
from apps.classifier.settings import ClassifierSettings
from apps.serving.http import page
from apps.serving.problems import Problem
from apps.serving.service import Service


class ClassifierService(Service):
    """Serves one forest."""

    name: ClassVar[str] = "classifier-service"
    title: ClassVar[str] = "Classifier service"
    description: ClassVar[str] = "Classifies images by a decision forest, exactly as scikit-learn would."
    Settings = ClassifierSettings
    routers: ClassVar[Sequence[APIRouter]] = (
        predict.router,
        picture.router,
        open_inference.router,
        page.router(Path(__file__).parent / "page"),
    )

    def load(self, settings: ClassifierSettings) -> Classifier:
        """Open the classifier at MODEL_PATH."""
        return open_classifier(settings.model_path, version=settings.model_version, sha256=settings.model_sha256)

    def error(self, path: str, problem: Problem) -> str | None:
        """Clients of the Open Inference Protocol read an error's text from the member `error`."""
        return problem.detail if path.startswith("/v2/") else None
