"""Endpoints for probes, monitoring and people. None of them queues."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from apps.serving.lifecycle import State
from apps.serving.problems import RESPONSES, Problem
from apps.serving.runtime import runtime_of

router = APIRouter(responses=RESPONSES)
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "starting, draining or failed"}}


@router.get("/livez", tags=["health"], responses={503: {"description": "failed: only a restart helps"}})
async def livez(request: Request) -> dict[str, Any]:
    """The event loop turns: 200 from the first moment to the last, unless the model has failed for ever."""
    if failure := runtime_of(request).lifecycle.failure:
        raise Problem(503, failure)
    return {"status": "alive"}


@router.get("/readyz", tags=["health"], responses=NOT_READY)
async def readyz(request: Request) -> JSONResponse:
    """200 while the model is loaded, verified and warm, and the process is not draining."""
    return _health(request)


@router.get("/health", include_in_schema=False)  # the path that many gateways use
@router.get("/healthz", tags=["health"], responses=NOT_READY)
async def healthz(request: Request) -> JSONResponse:
    """Readiness, and which model this is."""
    return _health(request)


@router.get("/metrics", tags=["metrics"], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """All metrics for Prometheus, in its text format or as OpenMetrics."""
    text, content_type = runtime_of(request).metrics.exposition(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": content_type})


@router.get("/metrics-simple", tags=["metrics"])
async def metrics_simple(request: Request) -> dict[str, Any]:
    """Requests, errors and latency of the service's own endpoints, as JSON."""
    runtime = runtime_of(request)
    model = runtime.lifecycle.loaded
    process = {
        "model_version": model.identity.version if model else None,
        "uptime_seconds": runtime.lifecycle.uptime_seconds,
    }
    return process | runtime.metrics.simple()


def _health(request: Request) -> JSONResponse:
    health = runtime_of(request).lifecycle.health()
    return JSONResponse(health, 200 if health["status"] == State.READY else 503)
