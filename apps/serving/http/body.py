"""Reads a JSON body: bounded, checked against a pydantic model, every mistake told at once in words."""

import asyncio
import codecs
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from apps.serving.context import context
from apps.serving.problems import MAX_ERRORS, ClientGone, Problem, pointer

M = TypeVar("M", bound=BaseModel)
BRIEF_BYTES = 32_768  # are parsed within some milliseconds, whatever they hold: on the event loop
MAX_MEMBERS = 100  # of a JSON object
MAX_CONTAINERS = 10_000  # JSON arrays and objects in a body
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
ALIASES = {"image/jpg": "image/jpeg"}  # not registered, and common
SEND_JSON = "Send JSON as the body: curl -H 'content-type: application/json' --data-binary @body.json."
SHOWN_ERRORS = 3  # in the sentence itself, which is all that OpenAI's client shows


def media_type(request: Request) -> str:
    """The body's media type in lower case and without parameters; empty where the client names none."""
    name = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return ALIASES.get(name, name)


def unread(media_type: str, remedy: str) -> Problem:
    """A 415 for a body of this type."""
    given = f"Content-Type {media_type[:80]!r} is not read" if media_type else "The body has no Content-Type"
    return Problem(415, f"{given}. {remedy}")


def require_json(request: Request) -> None:
    """Raise a 415 unless the body is JSON by its type.

    A browser sends only forms, plain text and bodies without a type to another site without asking it first.
    """
    name = media_type(request)
    if name != "application/json" and not name.endswith("+json"):
        raise unread(name, SEND_JSON)


async def read_json(request: Request, kind: type[M], about: dict[str, Any] | None = None) -> M:
    """Return the request's body as `kind`; `about` is the context of its validators.

    Raises Problem: 415 (not JSON by its type), 413 (over MAX_BODY_BYTES; no more than that is kept),
    408 (not there within the deadline), 400 (not JSON, or nested too deeply), 422 (JSON of another shape).
    """
    return parse_json(await read_json_body(request), kind, about)


async def read_json_body(request: Request) -> bytearray:
    """Return the body of a request that says it is JSON; raises as `read_json` does (415, 413, 408)."""
    require_json(request)
    return await read_body(request)


def parse_json(body: bytes | bytearray, kind: type[M], about: dict[str, Any] | None = None) -> M:
    """Return `body` as `kind`; raises as `read_json` does (400, 422)."""
    try:
        text = body[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body
        if len(text) > BRIEF_BYTES:
            _check_containers(text)
            _check_members(from_json(text))
        return kind.model_validate_json(text, context=about)
    except ValidationError as error:
        raise _problem(error, body) from None
    except ValueError as error:
        raise Problem(400, _not_json(body, str(error))) from None


async def read_body(request: Request, setting: str = "max_body_bytes") -> bytearray:
    """Return the request's body, no larger than `setting` says.

    Its bytes count in the runtime's budget until the request is answered. Raises as `read_json` does (413, 408), 415
    where it is compressed, and 503 where the budget is used up and this is the largest body under way.
    """
    if (coding := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise Problem(415, f"Content-Encoding {coding[:80]!r} is not read here. Send the body as it is.")
    runtime = request.app.state.runtime
    limit, seconds = getattr(runtime.settings, setting), runtime.settings.request_timeout_seconds
    if (length := request.headers.get("content-length", "0")).isdecimal():
        _check_size(int(length[:20]), limit, setting)
    received, body = context(request.scope), bytearray()
    hold = received.hold
    try:
        async with asyncio.timeout(received.remaining(seconds)) as patience:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                if hold is None and (hold := received.hold):
                    hold.on_drop.append(lambda: patience.reschedule(0))
                if hold and hold.dropped:
                    raise TimeoutError
                body += message.get("body", b"")
                _check_size(len(body), limit, setting)
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        if hold and hold.dropped:
            raise _crowded(runtime) from None
        raise Problem(408, f"The body was not complete within {seconds:g} seconds. Send it faster.") from None


def json_body(kind: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body by `read_json`.

    `examples` maps a short name to {"summary": …, "value": …}.
    """
    content = {"application/json": {"schema": inlined_schema(kind), **({"examples": examples} if examples else {})}}
    return {"requestBody": {"required": True, "content": content}}


def inlined_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of `kind` without references."""
    schema = kind.model_json_schema()
    return _inlined(schema, schema.pop("$defs", {}))


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Put each part in its place: references would be looked up from the root of the OpenAPI document."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(value, parts) for key, value in schema.items()}


def _check_containers(text: bytes | bytearray) -> None:
    """Refuse more arrays and objects than any request has: the interpreter is held until all of them are made."""

    def count(text: bytes | bytearray) -> int:
        return text.count(b"[") + text.count(b"{")

    if count(text) > MAX_CONTAINERS and (containers := count(STRING.sub(b"", text))) > MAX_CONTAINERS:
        rule = f"holds {containers} arrays and objects; up to {MAX_CONTAINERS} are read"
        raise Problem(422, f"The body {rule}. Send fewer.")


def _check_members(value: Any) -> None:
    """Refuse a JSON object with more members than any request has: each unknown one becomes a mistake of its own."""
    if isinstance(value, dict):
        if len(value) > MAX_MEMBERS:
            rule = f"holds an object with {len(value)} members; up to {MAX_MEMBERS} are read"
            raise Problem(422, f"The body {rule}. Send fewer.")
        value = value.values()
    for item in value if not isinstance(value, str) else ():
        if isinstance(item, dict | list):
            _check_members(item)


def _crowded(runtime: Any) -> Problem:
    return Problem(503, runtime.bytes.refusal, headers=runtime.admission.retry_after)


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
    shown = [f"{error['pointer']}: {error['detail']}" for error in errors[:SHOWN_ERRORS]]
    count = len(errors) if len(errors) <= MAX_ERRORS else f"more than {MAX_ERRORS}"
    more = [f"({SHOWN_ERRORS} of {count} mistakes.)"] if len(errors) > SHOWN_ERRORS else []
    return Problem(422, " ".join(shown + more), errors=errors)


def _not_json(body: bytes | bytearray, reason: str) -> str:
    if not body.strip():
        return f"The body is empty. {SEND_JSON}"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in body[:2]:
        return "The body is in UTF-16 or UTF-32. Send UTF-8."
    return f"The body is not JSON that can be read: {reason}."


def _texts(mistake: Any) -> list[tuple[tuple, str]]:
    """What to say of one mistake; a validator may give several, each with its place below the field."""
    if several := mistake.get("ctx", {}).get("mistakes"):
        return several
    known = {"missing": "is required", "extra_forbidden": "is not known here; remove it or correct its name"}
    return [((), known.get(mistake["type"], mistake["msg"].removeprefix("Value error, ").rstrip(".")))]
