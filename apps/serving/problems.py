"""Errors in the shape of RFC 9457: what was given, the rule and the remedy, never a trace."""

import http
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from apps.serving.context import context

LOG = logging.getLogger("serving.error")
MEDIA_TYPE = "application/problem+json"
TEXTS = ("type", "title", "detail", "instance", "request_id")
ERROR = {"type": "object", "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}}}
SCHEMA = {  # of the body that `problem_response` makes
    "type": "object",
    "required": [*TEXTS, "status", "model_version", "errors"],
    "properties": {
        **{key: {"type": "string"} for key in TEXTS},
        "status": {"type": "integer"},
        "model_version": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "errors": {"type": "array", "items": ERROR},
    },
}
RETRY_AFTER = {"Retry-After": {"description": "seconds to wait", "required": True, "schema": {"type": "integer"}}}


def documented(texts: Mapping[Any, str]) -> dict[Any, dict[str, Any]]:
    """The `responses` of routes that answer these statuses by a problem; 503 always says when to come back."""
    content = {"content": {MEDIA_TYPE: {"schema": SCHEMA}}}
    headers = {503: {"headers": RETRY_AFTER}}
    return {status: {"description": text, **content, **headers.get(status, {})} for status, text in texts.items()}


RESPONSES = documented(  # of every route
    {"4XX": "A problem (RFC 9457): the request's.", "5XX": "A problem (RFC 9457): the service's."}
)
COMPUTED = documented(  # of every route that reads a body and computes
    {
        413: "The body is too large; the problem says the limit.",
        415: "The body is of another media type, or compressed; the problem says what to send.",
        422: "Values break a rule; `errors` has up to 20 of them, each with its place.",
        503: "The queue is full, the model is not loaded yet, or the service is about to end.",
        504: "There was no answer within the time that a request may take.",
    }
)
MAX_ERRORS = 20  # a body of 784 wrong numbers shall not get an answer longer than itself


class Problem(Exception):
    """An error for the client.

    `errors` holds every mistake as {"pointer": JSON pointer into the body, "detail": the rule in words}.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors, self.headers = list(errors), dict(headers or {})


class ClientGone(Exception):
    """The client hung up; nobody reads the answer (499 in logs and metrics)."""


def unexpected(scope: Scope) -> Problem:
    """Log the error that is being handled, under the request's id; return what the client may know of it."""
    LOG.exception("unexpected error", extra={"request_id": context(scope).request_id})
    return Problem(500, "The service failed. The request id finds the reason in its log.")


def problem_response(request: Request, problem: Problem) -> Response:
    """Render `problem`, with the request's id and the version of the model that runs."""
    runtime = request.app.state.runtime
    loaded = runtime.lifecycle.loaded
    body = {
        "type": "about:blank",
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path[:200],
        "request_id": context(request.scope).request_id,
        "model_version": loaded.identity.version if loaded else None,
        "errors": problem.errors[:MAX_ERRORS],
    }
    if (member := runtime.service.error(request.url.path, problem)) is not None:
        body["error"] = member
    return Response(json.dumps(body, allow_nan=False), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error that a route can raise be answered as a problem."""

    async def problem(request: Request, error: Problem) -> Response:
        return problem_response(request, error)

    async def http_error(request: Request, error: HTTPException) -> Response:
        return problem_response(request, _from_http(request, error))

    async def gone(request: Request, error: ClientGone) -> Response:
        return Response(status_code=499)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [{"pointer": pointer(e["loc"][1:]), "detail": e["msg"]} for e in error.errors()]
        return problem_response(request, Problem(422, "The request is not valid.", errors=errors))

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientGone, gone)
    app.add_exception_handler(RequestValidationError, invalid)


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer as a URI fragment, as RFC 9457 shows it: #/features/3."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    return "#" + "".join(f"/{part}" for part in parts)


def _from_http(request: Request, error: HTTPException) -> Problem:
    path, detail, headers = request.url.path[:200], str(error.detail), error.headers
    if error.status_code == 404:
        detail = f"There is nothing at {path}. /docs lists what there is."
    if error.status_code == 405:
        matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
        methods = sorted({method for route in matching for method in route.methods})
        detail = f"{path} does not take {request.method}. Use {' or '.join(methods)}."
        headers = {"Allow": ", ".join(methods)}
    return Problem(error.status_code, detail, headers=headers)
