"""Responses to requests that the application never receives."""

import json
import logging
import uuid
from http import HTTPStatus

LOG = logging.getLogger("serving")


class RefusedError(Exception):
    """A request whose head or framing is not accepted: the status, and a sentence for the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


NOT_HTTP = RefusedError(400, "This is not HTTP/1.1. Correct it.")


def response(refusal: RefusedError) -> bytes:
    """Return the complete HTTP/1.1 response: a problem of RFC 9457, after which the connection ends."""
    title, request_id = HTTPStatus(refusal.status).phrase, uuid.uuid4().hex
    level = logging.ERROR if refusal.status >= 500 else logging.INFO
    LOG.log(level, "refused", extra={"request_id": request_id, "status": refusal.status})
    problem = {"type": "about:blank", "title": title, "status": refusal.status, "detail": refusal.detail}
    body = json.dumps(problem | {"request_id": request_id, "errors": []}).encode()
    retry_after = "Retry-After: 1\r\n" if refusal.status == 503 else ""
    head = (
        f"HTTP/1.1 {refusal.status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n{retry_after}Connection: close\r\n\r\n"
    )
    return head.encode() + body
