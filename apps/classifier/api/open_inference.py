"""The Open Inference Protocol v2, so that KServe and Triton clients work unchanged."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Header, Request
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictInt
from pydantic_core import to_json
from starlette.responses import JSONResponse, Response

from apps.classifier.api.tensors import Tensor, encode_bytes, mistake
from apps.classifier.model import BRIEF_ROWS, SCALES, Classifier, scaled
from apps.serving.http.body import json_body, media_type, parse_json, read_body, require_json
from apps.serving.lifecycle import State
from apps.serving.problems import COMPUTED, RESPONSES, Problem
from apps.serving.runtime import runtime_of

INPUT: Final = "features"
PROBABILITIES: Final = "probabilities"
LABEL: Final = "label"
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


class Parameters(BaseModel):
    """`scale` as in /predict; others are for other servers."""

    scale: StrictInt = 1
    binary_data_output: StrictBool = False


class Output(BaseModel):
    """An output that is asked for."""

    name: Literal["probabilities", "label"]
    parameters: dict[str, Any] = {}


def _distinct(outputs: list[Output]) -> list[Output]:
    if len({output.name for output in outputs}) < len(outputs):
        raise ValueError("names an output twice; ask for each once")
    return outputs


class InferRequest(BaseModel):
    """One input tensor, and which outputs are wanted (by default both)."""

    id: str | None = None
    parameters: Parameters = Parameters()
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[Output], Field(max_length=2), AfterValidator(_distinct)] = []


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
        request, body, partial(_parsed, body, length, model), partial(_inferred, model), _is_brief
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
    return request, _rows(request, content, model.forest.n_features)


def _inferred(model: Classifier, parsed: tuple[InferRequest, np.ndarray]) -> Response:
    request, rows = parsed
    return _answer(model, request, model.forest.evaluate(rows))


def _is_brief(parsed: tuple[InferRequest, np.ndarray]) -> bool:
    return len(parsed[1]) <= BRIEF_ROWS


def _metadata(model: Classifier) -> dict[str, Any]:
    shapes = {
        "inputs": [(INPUT, "FP32", model.forest.n_features)],
        "outputs": [(PROBABILITIES, "FP64", len(model.forest.classes)), (LABEL, "BYTES", 1)],
    }
    tensors = {
        side: [{"name": name, "datatype": datatype, "shape": [-1, width]} for name, datatype, width in each]
        for side, each in shapes.items()
    }
    identity = model.identity
    return {"name": identity.name, "versions": [identity.version], "platform": identity.engine, **tensors}


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


def _rows(request: InferRequest, content: memoryview, n_features: int) -> np.ndarray:
    """Return float32 (n, n_features) from 0 to 1; raise Problem 422 or 400 for a tensor that is not images."""
    tensor, scale, pointer = request.inputs[0], request.parameters.scale, "#/inputs/0"
    if scale not in SCALES:
        raise mistake("#/parameters/scale", "must be 1 (the default) or 255")
    if tensor.name != INPUT:
        raise mistake(f"{pointer}/name", f"must be {INPUT!r}")
    if tensor.shape[0] == 0 or tensor.shape[1] != n_features:
        raise mistake(f"{pointer}/shape", f"must be [n, {n_features}], n at least 1; {tensor.shape} was given")
    rows, rest = tensor.rows(content, pointer)
    if len(rest):
        raise Problem(400, f"{len(rest)} bytes are left behind the last tensor. Correct the sizes.")
    outside = ~((rows >= 0) & (rows <= scale))
    if count := np.count_nonzero(outside):
        row, column = np.unravel_index(outside.argmax(), rows.shape)
        first = f"{rows[row, column]} was given at row {row}, column {column}"
        raise mistake(f"{pointer}/data", f"must hold numbers from 0 to {scale}; {first} ({count} are outside)")
    return scaled(rows, scale)


def _answer(model: Classifier, request: InferRequest, probabilities: np.ndarray) -> Response:
    labels = [model.forest.classes[best] for best in probabilities.argmax(axis=1)]
    tensors: dict[str, tuple[str, list[int], Callable[[], list[Any]], Callable[[], bytes]]] = {
        PROBABILITIES: ("FP64", [*probabilities.shape], probabilities.ravel().tolist, probabilities.tobytes),
        LABEL: ("BYTES", [len(labels), 1], lambda: labels, lambda: encode_bytes(labels)),
    }
    outputs: list[dict[str, Any]] = []
    content = b""
    for output in request.outputs or [Output(name=PROBABILITIES), Output(name=LABEL)]:
        datatype, shape, as_list, as_bytes = tensors[output.name]
        described = {"name": output.name, "datatype": datatype, "shape": shape}
        if output.parameters.get("binary_data", request.parameters.binary_data_output):
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
