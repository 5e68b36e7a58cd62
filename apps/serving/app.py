"""Builds a service's ASGI application: its routes, and around them health, metrics, problems and the access log."""

from fastapi import FastAPI
from fastapi.routing import APIRoute

from apps.serving import problems
from apps.serving.http import browsers, docs, health, problem_responses
from apps.serving.http.access import Access
from apps.serving.runtime import Runtime
from apps.serving.service import Service
from apps.serving.settings import ServingSettings


def create_app(service: Service, settings: ServingSettings) -> FastAPI:
    """Return the application; its `state.runtime` is the Runtime. `startup.load(runtime)` loads the model."""
    runtime = Runtime(service, settings)
    app = FastAPI(
        title=service.title,
        description=service.description,
        version="1",
        openapi_url=None,  # http/docs.py serves the document and the page
        redirect_slashes=False,
        responses=problems.RESPONSES,
    )
    app.state.runtime = runtime
    cors = browsers.cors(settings.cors_origins)
    if settings.allowed_hosts:
        app.add_middleware(browsers.AllowedHosts, names=settings.allowed_hosts)
    if cors:
        app.add_middleware(cors)
    app.add_middleware(Access, runtime=runtime, cors=cors)  # the last one added is the outermost
    problem_responses.install(app)
    for router in (*service.routers, health.router, docs.router):
        app.router.routes.extend(router.routes)  # include_router would match each request one more time
    _answer_head(app)
    return app


def _answer_head(app: FastAPI) -> None:
    """Answer HEAD where GET is answered, by separate routes that do not appear in the OpenAPI document."""
    for route in [route for route in app.routes if isinstance(route, APIRoute) and "GET" in (route.methods or ())]:
        app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)
