"""Reads a JSON body: bounded, checked against a pydantic model, every mistake told at once in words."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from apps.serving.context import context
from apps.serving.problems import MAX_ERRORS, ClientGone, Problem, pointer

M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request, kind: type[M], about: dict[str, Any] | None = None) -> M:
    """Return the request's body as `kind`; `about` is the context of its validators.

    Raises Problem: 415 (not JSON by its type), 413 (over MAX_BODY_BYTES; no more than that is kept),
    408 (not there within the deadline), 400 (not JSON, or nested too deeply), 422 (JSON of another shape).
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(415, f"Content-Type {media_type[:80]!r} is not read here. Send application/json.")
    return parse_json(await read_body(request), kind, about)


def parse_json(body: bytes, kind: type[M], about: dict[str, Any] | None = None) -> M:
    """Return `body` as `kind`; raises as `read_json` does (400, 422)."""
    try:
        return kind.model_validate_json(body, context=about)
    except ValidationError as error:
        raise _problem(error) from None


async def read_body(request: Request, setting: str = "max_body_bytes") -> bytes:
    """Return the request's body, no larger than `setting` says.

    Raises as `read_json` does (413, 408), and 415 where it is compressed.
    """
    if (coding := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise Problem(415, f"Content-Encoding {coding[:80]!r} is not read here. Send the body as it is.")
    settings = request.app.state.runtime.settings
    limit, seconds = getattr(settings, setting), settings.request_timeout_seconds
    if request.headers.get("content-length", "0").isdecimal():
        _check_size(int(request.headers.get("content-length", "0")), limit, setting)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(context(request.scope).remaining(seconds)):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                _check_size(size, limit, setting)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise Problem(408, f"The body was not complete within {seconds:g} seconds. Send it faster.") from None


def json_body(kind: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body by `read_json`.

    `examples` maps a short name to {"summary": …, "value": …}.
    """
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inlined(schema, parts), "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Put each part in its place: references would be looked up from the root of the OpenAPI document."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(value, parts) for key, value in schema.items()}


def _check_size(size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise Problem(413, f"The body exceeds {limit} bytes ({setting.upper()}). Send less.")


def _problem(error: ValidationError) -> Problem:
    mistakes = error.errors(include_url=False, include_input=False)
    if mistakes[0]["type"] == "json_invalid":
        return Problem(400, f"The body is not JSON that can be read: {mistakes[0]['ctx']['error']}.")
    errors = [
        {"pointer": pointer((*mistake["loc"], *below)), "detail": text + "."}
        for mistake in mistakes
        for below, text in _texts(mistake)
    ]
    count = len(errors) if len(errors) <= MAX_ERRORS else f"more than {MAX_ERRORS}"
    more = f" ({count} mistakes in all; see errors)" if len(errors) > 1 else ""
    return Problem(422, f"{errors[0]['pointer']}: {errors[0]['detail']}{more}", errors=errors)


def _texts(mistake: Any) -> list[tuple[tuple, str]]:
    """What to say of one mistake; a validator may give several, each with its place below the field."""
    if several := mistake.get("ctx", {}).get("mistakes"):
        return several
    known = {"missing": "is required", "extra_forbidden": "is not known here; remove it or correct its name"}
    return [((), known.get(mistake["type"], mistake["msg"].removeprefix("Value error, ").rstrip(".")))]
