"""Reads request bodies within their bounds, and JSON against a pydantic model, with every mistake in one answer."""

import asyncio
import codecs
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.requests import Request

from apps.serving.context import context
from apps.serving.problems import MAX_ERRORS, ClientGone, Problem, pointer
from apps.serving.runtime import SMALL_BODY_BYTES, runtime_of

M = TypeVar("M", bound=BaseModel)
MAX_MEMBERS = 100  # of a JSON object
MAX_CONTAINERS = 10_000  # JSON arrays and objects in a body
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
ALIASES = {"image/jpg": "image/jpeg"}  # not registered, and common
SEND_JSON = "Send JSON as the body: curl -H 'content-type: application/json' --data-binary @body.json."
LISTED_ERRORS = 3  # in the `detail`, which is all that OpenAI's client shows
RULES = {"missing": "is required", "extra_forbidden": "is not known here; remove it or correct its name"}


def media_type(request: Request) -> str:
    """Return the body's media type in lower case and without parameters; an empty string without Content-Type."""
    name = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return ALIASES.get(name, name)


def unread(media_type: str, remedy: str) -> Problem:
    """Return a 415 Problem for a body of this type."""
    rule = f"Content-Type {media_type[:80]!r} is not read" if media_type else "The body has no Content-Type"
    return Problem(415, f"{rule}. {remedy}")


def require_json(request: Request) -> None:
    """Raise a 415 Problem unless the Content-Type is JSON.

    Without CORS permission, browsers send only forms, plain text and bodies without a type to other sites.
    """
    name = media_type(request)
    if name != "application/json" and not name.endswith("+json"):
        raise unread(name, SEND_JSON)


async def read_json(request: Request, schema: type[M], validation_context: dict[str, Any] | None = None) -> M:
    """Return the request's body as `schema`; its validators receive `validation_context`.

    Raises Problem: 415 (Content-Type is not JSON), 413 (over MAX_BODY_BYTES; no more than that is kept),
    408 (not complete within the deadline), 400 (not JSON, or nested too deeply), 422 (JSON of another shape).
    """
    return parse_json(await read_json_body(request), schema, validation_context)


async def read_json_body(request: Request) -> bytearray:
    """Return the body of a request whose Content-Type is JSON. Raises as `read_json` does (415, 413, 408)."""
    require_json(request)
    return await read_body(request)


def parse_json(
    body: bytes | bytearray,
    schema: type[M],
    validation_context: dict[str, Any] | None = None,
    max_members: int = MAX_MEMBERS,
) -> M:
    """Return `body` as `schema`. Raises as `read_json` does (400, 422)."""
    try:
        text = body[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body
        if len(text) > SMALL_BODY_BYTES:
            _check_containers(text)
            _check_members(from_json(text), max_members)
        return schema.model_validate_json(text, context=validation_context)
    except ValidationError as error:
        raise _problem(error, body) from None
    except ValueError as error:
        raise Problem(400, _not_json(body, str(error))) from None


async def read_body(request: Request, setting: str = "max_body_bytes") -> bytearray:
    """Return the request's body, of at most as many bytes as the settings' field `setting` says.

    Its bytes count in the runtime's budget until the request is answered. Raises as `read_json` does (413, 408), 415
    if it is compressed, and 503 if the budget is exhausted and this is the largest incomplete body.
    """
    if (coding := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise Problem(415, f"Content-Encoding {coding[:80]!r} is not read here. Send the body as it is.")
    runtime, received = runtime_of(request), context(request.scope)
    limit, seconds = getattr(runtime.settings, setting), runtime.settings.request_timeout_seconds
    if (length := request.headers.get("content-length", "0")).isdecimal():
        _check_size(int(length[:20]), limit, setting)
    body = bytearray()
    try:
        async with asyncio.timeout(received.remaining(seconds)):
            while True:
                message = await request.receive()  # also returns when the budget drops the body
                if message["type"] == "http.disconnect":
                    raise ClientGone
                if received.hold and received.hold.dropped:
                    raise TimeoutError
                body += message.get("body", b"")
                _check_size(len(body), limit, setting)
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        if received.hold and received.hold.dropped:
            raise Problem(503, runtime.bytes.refusal, headers=runtime.admission.retry_after) from None
        raise Problem(408, f"The body was not complete within {seconds:g} seconds. Send it faster.") from None


def json_body(schema: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads its body by `read_json`.

    `examples` maps a short name to {"summary": …, "value": …}.
    """
    content = {"application/json": {"schema": inlined_schema(schema), **({"examples": examples} if examples else {})}}
    return {"requestBody": {"required": True, "content": content}}


def inlined_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model without references."""
    document = schema.model_json_schema()
    inlined: dict[str, Any] = _inlined(document, document.pop("$defs", {}))
    return inlined


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace each reference by its definition: references would be resolved from the root of the OpenAPI document."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def _check_containers(text: bytes | bytearray) -> None:
    """Refuse more arrays and objects than any request has: making them holds the interpreter lock."""

    def count(text: bytes | bytearray) -> int:
        return text.count(b"[") + text.count(b"{")

    if count(text) > MAX_CONTAINERS and (containers := count(STRING.sub(b"", text))) > MAX_CONTAINERS:
        rule = f"holds {containers} arrays and objects; up to {MAX_CONTAINERS} are read"
        raise Problem(422, f"The body {rule}. Send fewer.")


def _check_members(value: Any, most: int) -> None:
    """Refuse objects with more members than any request has: each unknown member becomes a mistake in the answer."""
    if isinstance(value, dict):
        if len(value) > most:
            rule = f"holds an object with {len(value)} members; up to {most} are read"
            raise Problem(422, f"The body {rule}. Send fewer.")
        value = value.values()
    for item in value if not isinstance(value, str) else ():
        if isinstance(item, dict | list):
            _check_members(item, most)


def _check_size(size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise Problem(413, f"The body exceeds {limit} bytes ({setting.upper()}). Send less.")


def _problem(error: ValidationError, body: bytes | bytearray) -> Problem:
    mistakes = error.errors(include_url=False, include_input=False)
    if mistakes[0]["type"] == "json_invalid":
        return Problem(400, _not_json(body, mistakes[0]["ctx"]["error"]))
    errors = [
        {"pointer": pointer((*mistake["loc"], *below)), "detail": text + "."}
        for mistake in mistakes
        for below, text in _texts(mistake)
    ]
    listed = [f"{error['pointer']}: {error['detail']}" for error in errors[:LISTED_ERRORS]]
    count = len(errors) if len(errors) <= MAX_ERRORS else f"more than {MAX_ERRORS}"
    more = [f"({LISTED_ERRORS} of {count} mistakes.)"] if len(errors) > LISTED_ERRORS else []
    return Problem(422, " ".join(listed + more), errors=errors)


def _not_json(body: bytes | bytearray, reason: str) -> str:
    if not body.strip():
        return f"The body is empty. {SEND_JSON}"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in body[:2]:
        return "The body is in UTF-16 or UTF-32. Send UTF-8."
    return f"The body is not JSON that can be read: {reason}."


def _texts(mistake: ErrorDetails) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the rule in words, with its place below the field; a validator may report several as `mistakes`."""
    if several := mistake.get("ctx", {}).get("mistakes"):
        return list(several)
    return [((), RULES.get(mistake["type"], mistake["msg"].removeprefix("Value error, ").rstrip(".")))]
