"""The classifier on the serving core: its settings, its model and its routes."""

from collections.abc import Sequence
from typing import Any, ClassVar

from fastapi import APIRouter

from apps.classifier.api import description, open_inference, page, picture, predict
from apps.classifier.model import Classifier, open_classifier
from apps.classifier.settings import ClassifierSettings
from apps.serving.admission import Admission
from apps.serving.metrics import Metrics
from apps.serving.problems import Problem
from apps.serving.service import Service


class ClassifierService(Service):
    """Serves one forest, of images or of a table."""

    name: ClassVar[str] = "classifier-service"
    title: ClassVar[str] = "Classifier service"
    description: ClassVar[str] = "Classifies images by a decision forest, exactly as scikit-learn would."
    Settings = ClassifierSettings
    routers: ClassVar[Sequence[APIRouter]] = (
        predict.router,
        picture.router,
        open_inference.router,
        page.router,
    )

    def load(self, settings: ClassifierSettings) -> Classifier:
        """Open the classifier at MODEL_PATH."""
        return open_classifier(settings.model_path, version=settings.model_version, sha256=settings.model_sha256)

    def ready(self, model: Classifier, metrics: Metrics, admission: Admission) -> None:
        """Publish the count of values outside the range of the training data."""
        if model.table is not None:
            metrics.registry.register(model.table.values_outside)

    def failure(self, model: Classifier) -> str | None:
        """Return why an evaluation that does not end needs a restart."""
        return model.forest.failure

    def describe(self, document: dict[str, Any], model: Classifier) -> None:
        """Describe the features of a table."""
        description.describe(document, model)

    def error(self, path: str, problem: Problem) -> str | None:
        """Clients of the Open Inference Protocol read an error's text from the member `error`."""
        return problem.detail if path.startswith("/v2/") else None
