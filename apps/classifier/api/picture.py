"""POST /predict/image: classifies a picture of a digit."""

from functools import partial

import numpy as np
from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from apps.classifier.api.answers import PicturePrediction
from apps.classifier.model import SCALES, Classifier, scaled
from apps.classifier.pictures import digit
from apps.classifier.pictures.decoding import Bounds, bounds_within_memory
from apps.classifier.settings import ClassifierSettings
from apps.serving.http.body import media_type, read_body, unread
from apps.serving.http.routing import DirectRoute
from apps.serving.problems import COMPUTED, RESPONSES, Problem
from apps.serving.runtime import Work, runtime_of

REMEDY = f"Send {' or '.join(digit.FORMATS)} as the body: curl --data-binary @digit.png -H 'content-type: image/png'."
BINARY = {"schema": {"type": "string", "format": "binary"}}
router = APIRouter(route_class=DirectRoute, responses=RESPONSES)


@router.post(
    "/predict/image",
    tags=["prediction"],
    summary="Classify a picture of a digit, PNG or JPEG, of any size",
    responses={200: {"model": PicturePrediction}} | COMPUTED,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(digit.FORMATS, BINARY)}},
)
async def predict_image(request: Request) -> Response:
    runtime = runtime_of(request)
    model: Classifier = runtime.model
    content_type = media_type(request)
    if content_type not in digit.FORMATS:
        raise unread(content_type, REMEDY)
    content = await read_body(request, "max_image_bytes")
    if not content:
        raise Problem(400, f"The body is empty. {REMEDY}")
    settings = runtime.settings
    assert isinstance(settings, ClassifierSettings)
    bounds = bounds_within_memory(settings.max_image_pixels, settings.max_in_flight)
    compute = partial(_classified, model, content, content_type, bounds)
    return Response(await runtime.compute(request, compute), media_type="application/json")


def _classified(model: Classifier, content: bytearray, content_type: str, bounds: Bounds, work: Work) -> bytes:
    return _answer(model, digit.read(content, content_type, bounds, lambda: work.cancelled))


def _answer(model: Classifier, pixels: np.ndarray) -> bytes:
    if model.table is not None or model.forest.n_features != pixels.size:
        rule = f"takes {model.forest.n_features} features, and a picture becomes {pixels.size} pixels"
        raise Problem(422, f"The model {model.identity.name} {rule}. Send features to /predict.")
    rows = scaled(pixels.reshape(1, -1).astype(np.float64), SCALES[-1])
    results, predicted = model.answers(rows)
    scores = [
        {"label": label, "probability": probability}
        for label, probability in zip(model.forest.classes, results[0].tolist(), strict=True)
    ]
    facts = {"probabilities": scores, "image": pixels.tolist(), "model_version": model.identity.version}
    return to_json(model.describe(results, predicted)[0] | facts)
