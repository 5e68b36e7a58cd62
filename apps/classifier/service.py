"""The classifier's settings and endpoints on the serving core."""

from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import Response

from apps.classifier import image, open_inference
from apps.classifier.decoding import Bounds
from apps.classifier.model import BRIEF_ROWS, Classifier, open_classifier
from apps.classifier.request import FEATURES, SCALES, PredictRequest, scaled
from apps.serving import page
from apps.serving.body import json_body, media_type, parse_json, read_body, read_json_body, unread
from apps.serving.problems import COMPUTED, Problem
from apps.serving.runtime import Runtime, Work
from apps.serving.service import Service
from apps.serving.settings import ServingSettings


class ClassifierSettings(ServingSettings):
    """MODEL_PATH is the classifier's own."""

    max_image_bytes: int = Field(10_485_760, ge=1, description="largest picture for /predict/image, bytes")
    max_image_pixels: int = Field(50_000_000, ge=1, description="its pixels; the memory limit may allow fewer")
    model_path: str = Field(description="the .joblib artifact: absolute, relative, or a name under /models")

    @property
    def largest_body(self) -> int:
        """A picture, or a body of JSON."""
        return max(self.max_body_bytes, self.max_image_bytes)


class Score(BaseModel):
    """One class."""

    label: str
    probability: float = Field(description="not rounded")


class Ranking(Score):
    """The most probable class, and the runners-up."""

    top: list[Score] = Field(description="the three most probable classes, best first")


class Prediction(Ranking):
    """The answer to `features`."""

    model_version: str


class Predictions(BaseModel):
    """The answer to `instances`, in their order."""

    predictions: list[Ranking]
    model_version: str


class Seen(Ranking):
    """The answer to a picture."""

    probabilities: list[Score] = Field(description="of every class, in their order")
    image: list[list[int]] = Field(description="the 28 x 28 pixels, 0 to 255, that the model was given")
    model_version: str


class ClassifierService(Service):
    """Which digit is this?"""

    name: ClassVar[str] = "classifier-service"
    title: ClassVar[str] = "Classifier service"
    description: ClassVar[str] = "Classifies images by a decision forest, exactly as scikit-learn would."
    Settings = ClassifierSettings

    def load(self, settings: ClassifierSettings) -> Classifier:
        """Verify, read and prove MODEL_PATH."""
        expected = {"version": settings.model_version, "sha256": settings.model_sha256}
        return open_classifier(settings.model_path, **expected)

    def error(self, path: str, problem: Problem) -> str | None:
        """Clients of the Open Inference Protocol look for a text."""
        return problem.detail if path.startswith("/v2/") else None

    def add_routes(self, app: FastAPI, runtime: Runtime) -> None:
        """Register /predict and the Open Inference Protocol."""
        bounds = Bounds.within_memory(runtime.settings.max_image_pixels, runtime.settings.max_in_flight)

        @app.post(
            "/predict",
            tags=["prediction"],
            summary="Classify an image, or several",
            responses={200: {"model": Prediction | Predictions, **ANSWER}} | COMPUTED,
            openapi_extra=json_body(PredictRequest, EXAMPLES),
        )
        async def predict(request: Request) -> Response:
            model: Classifier = runtime.model
            body = await read_json_body(request)

            def read() -> PredictRequest:
                return parse_json(body, PredictRequest, {"n_features": model.forest.n_features})

            answer = await runtime.compute_body(
                request, body, read, partial(_predicted, model), lambda asked: len(asked.rows) <= BRIEF_ROWS
            )
            return Response(answer, media_type="application/json")

        @app.post(
            "/predict/image",
            tags=["prediction"],
            summary="Classify a picture of a digit, PNG or JPEG, of any size",
            responses={200: {"model": Seen}} | COMPUTED,
            openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(image.FORMATS, BINARY)}},
        )
        async def predict_image(request: Request) -> Response:
            model: Classifier = runtime.model
            if (kind := media_type(request)) not in image.FORMATS:
                raise unread(kind, SEND_PICTURE)
            if not (content := await read_body(request, "max_image_bytes")):
                raise Problem(400, f"The body is empty. {SEND_PICTURE}")

            def seen(work: Work) -> bytes:
                return _seen(model, image.read(content, kind, bounds, lambda: work.cancelled))

            return Response(await runtime.compute(request, seen), media_type="application/json")

        open_inference.add_routes(app, runtime)
        app.router.routes.extend(page.router(Path(__file__).parent / "page").routes)


def _predicted(model: Classifier, asked: PredictRequest) -> bytes:
    answers = model.predict(asked.rows)
    answer = answers[0] if asked.instances is None else {"predictions": answers}
    return to_json(answer | {"model_version": model.identity.version})


def _seen(model: Classifier, pixels: np.ndarray) -> bytes:
    if model.forest.n_features != pixels.size:
        rule = f"takes {model.forest.n_features} features, and a picture becomes {pixels.size}"
        raise Problem(422, f"The model {model.identity.name} {rule}. Send features to /predict.")
    rows = scaled(pixels.reshape(1, -1).astype(np.float64), SCALES[-1])
    probabilities = model.forest.predict_proba(rows)[0].tolist()
    scores = [
        {"label": label, "probability": probability}
        for label, probability in zip(model.forest.classes, probabilities, strict=True)
    ]
    facts = {"probabilities": scores, "image": pixels.tolist(), "model_version": model.identity.version}
    return to_json(model.predict(rows)[0] | facts)


def _seven() -> list[int]:
    """Return a drawn 7, in pixels of 28 x 28."""
    ink = [(8, column) for column in range(8, 20)] + [(row, 23 - row // 2) for row in range(8, 22)]
    pixels = [0] * FEATURES
    for row, column in ink:
        pixels[28 * row + column] = pixels[28 * row + column + 1] = 255
    return pixels


EXAMPLES = {
    "unit": {"summary": "A seven, from 0 to 1", "value": {"features": [pixel // 255 for pixel in _seven()]}},
    "pixels": {"summary": "The same, as pixels from 0 to 255", "value": {"features": _seven(), "scale": 255}},
    "several": {"summary": "Two images at once", "value": {"instances": [_seven(), [0] * FEATURES], "scale": 255}},
}
SEND_PICTURE = (
    f"Send {' or '.join(image.FORMATS)} as the body: curl --data-binary @digit.png -H 'content-type: image/png'."
)
BINARY = {"schema": {"type": "string", "format": "binary"}}
TOP = [{"label": label, "probability": value} for label, value in (("7", 0.87), ("9", 0.08), ("2", 0.02))]
ANSWER = {"content": {"application/json": {"example": {**TOP[0], "top": TOP, "model_version": "v1"}}}}
