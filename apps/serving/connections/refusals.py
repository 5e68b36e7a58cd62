"""What is answered to a request that the application never sees."""

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


def response(refused: RefusedError) -> bytes:
    """The whole HTTP/1.1 response, a problem as RFC 9457 has it, after which the connection ends."""
    title, request_id = HTTPStatus(refused.status).phrase, uuid.uuid4().hex
    LOG.info("refused", extra={"request_id": request_id, "status": refused.status})
    problem = {"type": "about:blank", "title": title, "status": refused.status, "detail": refused.detail}
    body = json.dumps(problem | {"request_id": request_id, "errors": []}).encode()
    again = "Retry-After: 1\r\n" if refused.status == 503 else ""
    head = (
        f"HTTP/1.1 {refused.status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n{again}Connection: close\r\n\r\n"
    )
    return head.encode() + body
