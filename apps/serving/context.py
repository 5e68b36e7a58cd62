"""What belongs to one request beside its content: its id and its clock."""

import re
import secrets
import time
from dataclasses import dataclass, field

from starlette.types import Scope

KEY = "serving.context"
STARTED = "serving.started"  # in the scope: the monotonic clock's time at which the headers were complete
HOLD = "serving.hold"  # in the scope: the bytes of the body that the server has received
ARRIVED = "serving.arrived"  # in the scope of a request that Admission counts as arrived
PROBES = {"/livez", "/readyz", "/healthz"}  # wait for no other request
LAST = "serving.last"  # in the scope: tells whether an answer that begins now ends its connection
TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")


@dataclass(slots=True)
class RequestContext:
    """`started` is the monotonic clock's time, in seconds, at which the request's headers were complete.

    `outcome` is the status that a stream ended with; 0: the one that its answer began with.
    """

    request_id: str = ""
    traceparent: str = ""
    started: float = field(default_factory=time.monotonic)
    outcome: int = 0

    def remaining(self, seconds: float) -> float:
        """How many of the `seconds` that the request may take are left."""
        return self.started + seconds - time.monotonic()


def begin(scope: Scope) -> RequestContext:
    """Give the request its context.

    An X-Request-ID that is short and plain is taken, else one is made. A valid W3C traceparent is kept.
    """
    found = RequestContext(started=scope[STARTED]) if STARTED in scope else RequestContext()
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            found.request_id = value.decode("ascii")
        elif name == b"traceparent" and TRACEPARENT.fullmatch(value):
            found.traceparent = value.decode("ascii")
    found.request_id = found.request_id or secrets.token_hex(16)
    scope[KEY] = found
    return found


def context(scope: Scope) -> RequestContext:
    """The context that `begin` made."""
    return scope[KEY]
