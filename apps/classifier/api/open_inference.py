"""The Open Inference Protocol v2, so that KServe and Triton clients work unchanged."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, Request
from pydantic_core import to_json
from starlette.responses import JSONResponse, Response

from apps.classifier.api.answers import unanswered
from apps.classifier.api.infer_request import (
    INPUT,
    LABEL,
    PROBABILITIES,
    VALUE,
    InferRequest,
    Output,
    datatype,
    output_names,
    rows_of,
)
from apps.classifier.api.tensors import encode_bytes
from apps.classifier.evaluator import RowError
from apps.classifier.model import Classifier
from apps.serving.http.body import json_body, media_type, parse_json, read_body, require_json
from apps.serving.lifecycle import State
from apps.serving.problems import COMPUTED, RESPONSES, Problem
from apps.serving.runtime import Work, runtime_of

LENGTH = "Inference-Header-Content-Length"
EXAMPLES = {
    "blank": {
        "summary": "A blank image",
        "value": {"inputs": [{"name": INPUT, "shape": [1, 784], "datatype": "FP32", "data": [0] * 784}]},
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "JSON, or JSON and binary tensors"}
} | COMPUTED


Values = tuple[str, list[int], Callable[[], list[Any]], Callable[[], bytes]]  # datatype, shape, as JSON, as bytes
BODY = json_body(InferRequest, EXAMPLES)
router = APIRouter(responses=RESPONSES, tags=["Open Inference Protocol v2"])


@router.get("/v2")
async def server(request: Request) -> dict[str, Any]:
    """What this server is, and which extensions it has."""
    name = runtime_of(request).service.name
    return {"name": name, "version": request.app.version, "extensions": ["binary_tensor_data"]}


@router.get("/v2/health/live")
async def live() -> dict[str, Any]:
    """The event loop turns."""
    return {"live": True}


@router.get("/v2/health/ready")
async def server_ready(request: Request) -> JSONResponse:
    """As /readyz."""
    ready = runtime_of(request).lifecycle.state is State.READY
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@router.get("/v2/models/{name}/ready")
@router.get("/v2/models/{name}/versions/{version}/ready")
async def model_ready(request: Request, name: str, version: str | None = None) -> JSONResponse:
    """As /readyz, for the model of that name."""
    _model(request, name, version)
    return await server_ready(request)


@router.get("/v2/models/{name}")
@router.get("/v2/models/{name}/versions/{version}")
async def metadata(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    """Inputs and outputs of the model."""
    return _metadata(_model(request, name, version))


@router.post("/v2/models/{name}/infer", openapi_extra=BODY, responses=ANSWERS)
@router.post("/v2/models/{name}/versions/{version}/infer", openapi_extra=BODY, responses=ANSWERS)
async def infer(
    request: Request,
    name: str,
    version: str | None = None,
    length: Annotated[str | None, Header(alias=LENGTH, include_in_schema=False)] = None,
) -> Response:
    """Classify the rows of a tensor."""
    model = _model(request, name, version)
    _require_type(request)
    body = await read_body(request)
    return await runtime_of(request).compute_body(
        request, body, partial(_parsed, body, length, model), partial(_inferred, model), partial(_is_brief, model)
    )


def _model(request: Request, name: str, version: str | None) -> Classifier:
    """Return the model if it is the one that the path names; raise Problem 404 otherwise, and 503 while starting."""
    model: Classifier = runtime_of(request).model
    identity = model.identity
    if name != identity.name or version not in (None, identity.version):
        requested = f"{name} {version or ''}".strip()
        raise Problem(404, f"{requested[:200]!r} is not served here; {identity.name} {identity.version} is.")
    return model


def _parsed(body: bytearray, length: str | None, model: Classifier) -> tuple[InferRequest, np.ndarray]:
    request, content = _split(body, length)
    return request, rows_of(request, content, model)


def _inferred(model: Classifier, parsed: tuple[InferRequest, np.ndarray], work: Work) -> Response:
    request, rows = parsed
    try:
        results = model.answers(rows, work)
    except RowError as error:
        raise unanswered(error, ["inputs"]) from None
    if model.table is not None:
        model.table.outside(rows)  # counts them
    return _answer(model, request, results)


def _is_brief(model: Classifier, parsed: tuple[InferRequest, np.ndarray]) -> bool:
    return len(parsed[1]) <= model.forest.brief_rows


def _metadata(model: Classifier) -> dict[str, Any]:
    forest, identity = model.forest, model.identity
    if model.table is None:
        inputs = [_tensor(INPUT, "FP32", forest.n_features)]
    else:  # the facts of a feature are an addition to the protocol, as MLServer's are
        inputs = [
            _tensor(feature.name, datatype(feature), 1) | {"parameters": {**feature.to_json(), "example": example}}
            for feature, example in zip(model.table.features, model.example, strict=True)
        ]
    width = forest.outputs
    tensors = {PROBABILITIES: ("FP64", width), LABEL: ("BYTES", 1), VALUE: ("FP64", width)}
    return {
        "name": identity.name,
        "versions": [identity.version],
        "platform": identity.engine,
        "inputs": inputs,
        "outputs": [_tensor(name, *tensors[name]) for name in output_names(forest)],
    }


def _tensor(name: str, datatype: str, width: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, width]}


def _require_type(request: Request) -> None:
    """Raise Problem 415 for what a page of another site can send without a preflight request.

    Triton's client sends no Content-Type, but no Origin either.
    """
    name = media_type(request)
    if name != "application/octet-stream" and (name or "origin" in request.headers):
        require_json(request)


def _split(body: bytearray, length: str | None) -> tuple[InferRequest, memoryview]:
    """Return the JSON part of a body, and the bytes that follow it."""
    if length is None:
        return parse_json(body, InferRequest), memoryview(b"")
    if not re.fullmatch("[0-9]{1,10}", length) or int(length) > len(body):
        raise Problem(400, f"{LENGTH} is {length[:20]!r}, and the body has {len(body)} bytes. Correct it.")
    return parse_json(body[: int(length)], InferRequest), memoryview(body)[int(length) :]


def _answer(model: Classifier, request: InferRequest, results: tuple[np.ndarray, np.ndarray]) -> Response:
    (values, predicted), classes = results, model.forest.classes
    numbers: Values = ("FP64", [*values.shape], values.ravel().tolist, values.tobytes)
    tensors: dict[str, Values] = {(PROBABILITIES if classes else VALUE): numbers}
    if classes:
        labels = [classes[place] for place in predicted]
        tensors[LABEL] = ("BYTES", [len(labels), 1], lambda: labels, lambda: encode_bytes(labels))
    outputs: list[dict[str, Any]] = []
    content = b""
    for output in request.outputs or [Output(name=name) for name in output_names(model.forest)]:
        datatype, shape, as_list, as_bytes = tensors[output.name]
        described = {"name": output.name, "datatype": datatype, "shape": shape}
        if (output.parameters or {}).get("binary_data", request.binary_output):
            part = as_bytes()
            outputs.append(described | {"parameters": {"binary_data_size": len(part)}})
            content += part
        else:
            outputs.append(described | {"data": as_list()})
    identity = model.identity
    answer: dict[str, Any] = {"model_name": identity.name, "model_version": identity.version, "outputs": outputs}
    body = to_json(answer if request.id is None else {"id": request.id} | answer)
    if not content:
        return Response(body, media_type="application/json")
    return Response(body + content, media_type="application/octet-stream", headers={LENGTH: str(len(body))})
