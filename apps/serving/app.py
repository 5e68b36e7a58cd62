"""Puts a service together: its routes, and around them health, metrics, problems and the access log."""

from fastapi import FastAPI

from apps.serving import docs, health, problems
from apps.serving.access import Access
from apps.serving.runtime import Runtime
from apps.serving.service import Service
from apps.serving.settings import ServingSettings


def create_app(service: Service, settings: ServingSettings) -> FastAPI:
    """Return the ASGI application of `service`; `app.state.runtime` is its Runtime.

    The model is not loaded by this: `await app.state.runtime.load()` does it (the server, or a test).
    """
    runtime = Runtime(service, settings)
    app = FastAPI(
        title=service.title,
        description=service.description,
        version="1",
        openapi_url=None,  # apps.serving.docs serves both
        redirect_slashes=False,
        responses=problems.RESPONSES,
    )
    app.state.runtime = runtime
    app.add_middleware(Access, runtime=runtime)
    problems.install(app)
    service.add_routes(app, runtime)
    health.add_routes(app, runtime)
    docs.add_routes(app)
    return app
