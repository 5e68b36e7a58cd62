"""Answers errors as problems of RFC 9457."""

import http
import json

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from apps.serving.context import context
from apps.serving.problems import MAX_ERRORS, MEDIA_TYPE, ClientGone, Problem, pointer
from apps.serving.runtime import runtime_of


def install(app: FastAPI) -> None:
    """Let `app` answer every error that a route can raise."""
    for error in (Problem, HTTPException, RequestValidationError, ClientGone):
        app.add_exception_handler(error, _answer)


def problem_response(request: Request, problem: Problem) -> Response:
    """Return `problem` as a response with the request's id and the version of the loaded model."""
    runtime = runtime_of(request)
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


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGone):
        return Response(status_code=499)
    return problem_response(request, _problem(request, error))


def _problem(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException():
            return _from_http(request, error)
        case RequestValidationError():
            errors = [{"pointer": pointer(e["loc"][1:]), "detail": e["msg"]} for e in error.errors()]
            return Problem(422, "The request is not valid.", errors=errors)
    raise error


def _from_http(request: Request, error: HTTPException) -> Problem:
    path, detail, headers = request.url.path[:200], str(error.detail), error.headers
    if error.status_code == 404:
        detail = f"There is nothing at {path}. /docs lists what there is."
    if error.status_code == 405:
        routes = [route for route in request.app.routes if isinstance(route, Route)]
        matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
        methods = sorted({method for route in matching for method in route.methods or ()})
        detail = f"{path} does not take {request.method}. Use {' or '.join(methods)}."
        headers = {"Allow": ", ".join(methods)}
    return Problem(error.status_code, detail, headers=headers)
