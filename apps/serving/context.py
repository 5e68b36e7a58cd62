"""What belongs to one request beside its content: its id, its clock and its bytes. The ASGI scope carries it."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from apps.serving.byte_budget import Hold

KEY = "serving.context"  # in the scope's `state`
PROBES = {"/livez", "/readyz", "/healthz"}  # are served before other requests
TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")


@dataclass(slots=True)
class RequestContext:
    """Made by the HTTP protocol when the headers are complete, or by `begin` where another server runs the app."""

    started: float = field(default_factory=time.monotonic)  # seconds: when the headers were complete
    request_id: str = ""
    traceparent: str = ""
    outcome: int = 0  # the status with which a stream ended; 0: the status of the response's start
    hold: Hold | None = None  # the bytes of the body that were received
    arrived: bool = False  # whether Admission counts the request as arrived
    is_last: Callable[[bool], bool | None] | None = None  # (draining) -> whether the response ends its connection

    def remaining(self, seconds: float) -> float:
        """Return the rest of the `seconds` that the request may take."""
        return self.started + seconds - time.monotonic()


def begin(scope: Scope) -> RequestContext:
    """Return the request's context with its ids.

    A short and plain X-Request-ID is kept, otherwise one is made. A valid W3C traceparent is kept.
    """
    request: RequestContext = scope.setdefault("state", {}).setdefault(KEY, RequestContext())
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            request.request_id = value.decode("ascii")
        elif name == b"traceparent" and TRACEPARENT.fullmatch(value):
            request.traceparent = value.decode("ascii")
    request.request_id = request.request_id or secrets.token_hex(16)
    return request


def context(scope: Mapping[str, Any]) -> RequestContext:
    """Return the context of the request with this ASGI scope."""
    request: RequestContext = scope["state"][KEY]
    return request
