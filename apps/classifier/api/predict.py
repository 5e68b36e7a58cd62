"""POST /predict: classifies one image or several, given as numbers."""

from functools import partial

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from apps.classifier.api.answers import EXAMPLE, Prediction, Predictions
from apps.classifier.api.predict_request import FEATURES, PredictRequest
from apps.classifier.model import BRIEF_ROWS, Classifier
from apps.serving.http.body import json_body, parse_json, read_json_body
from apps.serving.http.routing import DirectRoute
from apps.serving.problems import COMPUTED, RESPONSES
from apps.serving.runtime import runtime_of

INK = [(8, column) for column in range(8, 20)] + [(row, 23 - row // 2) for row in range(8, 22)]
SEVEN = [255 * ((row, column) in INK or (row, column - 1) in INK) for row in range(28) for column in range(28)]
EXAMPLES = {
    "unit": {"summary": "A seven, from 0 to 1", "value": {"features": [pixel // 255 for pixel in SEVEN]}},
    "pixels": {"summary": "The same, as pixels from 0 to 255", "value": {"features": SEVEN, "scale": 255}},
    "several": {"summary": "Two images at once", "value": {"instances": [SEVEN, [0] * FEATURES], "scale": 255}},
}
ANSWER = {"model": Prediction | Predictions, "content": {"application/json": {"example": EXAMPLE}}}
router = APIRouter(route_class=DirectRoute, responses=RESPONSES)


@router.post(
    "/predict",
    tags=["prediction"],
    summary="Classify an image, or several",
    responses={200: ANSWER} | COMPUTED,
    openapi_extra=json_body(PredictRequest, EXAMPLES),
)
async def predict(request: Request) -> Response:
    runtime = runtime_of(request)
    model: Classifier = runtime.model
    body = await read_json_body(request)
    answer = await runtime.compute_body(
        request, body, partial(_parsed, body, model), partial(_answer, model), _is_brief
    )
    return Response(answer, media_type="application/json")


def _parsed(body: bytearray, model: Classifier) -> PredictRequest:
    return parse_json(body, PredictRequest, {"n_features": model.forest.n_features})


def _answer(model: Classifier, parsed: PredictRequest) -> bytes:
    answers = model.predict(parsed.rows)
    answer = answers[0] if parsed.instances is None else {"predictions": answers}
    return to_json(answer | {"model_version": model.identity.version})


def _is_brief(parsed: PredictRequest) -> bool:
    return len(parsed.rows) <= BRIEF_ROWS
