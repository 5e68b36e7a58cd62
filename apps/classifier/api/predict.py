"""POST /predict: answers one row or several: an image's pixels, or what the manifest says of a table."""

from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import JSONResponse, Response

from apps.classifier.api import description
from apps.classifier.api.answers import EXAMPLE, Prediction, Predictions, unanswered
from apps.classifier.api.predict_request import FEATURES, PredictRequest
from apps.classifier.api.table_request import TableRequest
from apps.classifier.evaluator import RowError
from apps.classifier.model import Classifier
from apps.serving.http.body import MAX_MEMBERS, json_body, parse_json, read_json_body
from apps.serving.http.routing import DirectRoute
from apps.serving.problems import COMPUTED, RESPONSES
from apps.serving.runtime import Work, runtime_of

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
        request, body, partial(_parsed, body, model), partial(_answer, model), partial(_is_brief, model)
    )
    return Response(answer, media_type="application/json")


@router.get(
    "/predict/example",
    tags=["prediction"],
    summary="A body that POST /predict takes",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def example(request: Request) -> Response:
    model: Classifier = runtime_of(request).model
    if model.table is not None:
        return JSONResponse(description.row_by_name(model))
    if model.forest.n_features == FEATURES:
        return JSONResponse(EXAMPLES["unit"]["value"])
    return JSONResponse({"features": [0] * model.forest.n_features})


def _parsed(body: bytearray, model: Classifier) -> PredictRequest | TableRequest:
    if model.table is None:
        return parse_json(body, PredictRequest, {"n_features": model.forest.n_features})
    return parse_json(body, TableRequest, {"table": model.table}, max_members=len(model.table.features) + MAX_MEMBERS)


def _answer(model: Classifier, parsed: PredictRequest | TableRequest, work: Work) -> bytes:
    try:
        answers = model.predict(parsed.rows, work)
    except RowError as error:
        raise unanswered(error, ["features"] if parsed.instances is None else ["instances", error.row]) from None
    if isinstance(parsed, TableRequest):
        _mark(answers, parsed, model)
    answer = answers[0] if parsed.instances is None else {"predictions": answers}
    return to_json(answer | {"model_version": model.identity.version})


def _mark(answers: list[dict[str, Any]], parsed: TableRequest, model: Classifier) -> None:
    """Count the values outside the range of the training data, and name their features if that is asked for."""
    assert model.table is not None
    outside = model.table.outside(parsed.rows)
    if parsed.check_range:
        names = [feature.name for feature in model.table.features]
        for answer, row in zip(answers, outside, strict=True):
            answer["outside_range"] = [names[place] for place in np.flatnonzero(row)]


def _is_brief(model: Classifier, parsed: PredictRequest | TableRequest) -> bool:
    return len(parsed.rows) <= model.forest.brief_rows
