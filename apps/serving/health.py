"""The endpoints that probes and people ask how the service is; none of them ever queues."""

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from apps.serving.lifecycle import State
from apps.serving.problems import Problem
from apps.serving.runtime import Runtime


def add_routes(app: FastAPI, runtime: Runtime) -> None:
    """Register /livez, /readyz, /healthz, /metrics and /metrics-simple."""

    @app.get("/livez", tags=["health"], responses={503: {"description": "failed: only a restart helps"}})
    async def livez() -> dict:
        """The event loop turns: 200 from the first moment to the last, unless the model has failed for ever."""
        if failure := runtime.lifecycle.failure:
            raise Problem(503, failure)
        return {"status": "alive"}

    def health() -> JSONResponse:
        facts = runtime.lifecycle.health()
        return JSONResponse(facts, 200 if facts["status"] == State.READY else 503)

    @app.get("/readyz", tags=["health"], responses={503: {"description": "starting, draining or failed"}})
    async def readyz() -> JSONResponse:
        """200 while the model is loaded, verified and warm, and the process is not draining."""
        return health()

    @app.get("/health", include_in_schema=False)  # the name that many gateways ask for
    @app.get("/healthz", tags=["health"], responses={503: {"description": "starting, draining or failed"}})
    async def healthz() -> JSONResponse:
        """Readiness, and which model this is."""
        return health()

    @app.get("/metrics", tags=["metrics"], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """The same and more for Prometheus, in its text format or as OpenMetrics."""
        text, content_type = runtime.metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    @app.get("/metrics-simple", tags=["metrics"])
    async def metrics_simple() -> dict:
        """Requests, errors and latency of the service's own endpoints, as JSON."""
        model = runtime.lifecycle.loaded
        about = {
            "model_version": model.identity.version if model else None,
            "uptime_seconds": runtime.lifecycle.uptime_seconds,
        }
        return about | runtime.metrics.simple()
