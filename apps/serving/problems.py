"""Errors in the shape of RFC 9457: the value that was sent, the rule and the remedy; never a stack trace."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Scope

from apps.serving.context import context

LOG = logging.getLogger("serving.error")
MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20  # in one answer: a body of 784 wrong numbers should not get an answer longer than itself
TEXTS = ("type", "title", "detail", "instance", "request_id")
ERROR = {"type": "object", "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}}}
SCHEMA = {  # of the body of every problem
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
    """Return the `responses` of routes that answer these statuses with a problem; 503 has a Retry-After header."""
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


class Problem(Exception):
    """An error for the client.

    `errors` lists every mistake as {"pointer": JSON pointer into the body, "detail": the rule in words}.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors, self.headers = list(errors), dict(headers or {})


class ClientGone(Exception):
    """The client has closed the connection; logs and metrics show status 499."""


def unexpected(scope: Scope) -> Problem:
    """Log the exception that is being handled, with the request's id; return a problem that shows none of it."""
    LOG.exception("unexpected error", extra={"request_id": context(scope).request_id})
    return Problem(500, "The service failed. The request id finds the reason in its log.")


def pointer(location: Sequence[str | int]) -> str:
    """Return a JSON pointer as a URI fragment, as in RFC 9457: #/features/3."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    return "#" + "".join(f"/{part}" for part in parts)
