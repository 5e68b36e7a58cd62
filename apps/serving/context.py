"""What belongs to one request beside its content: its id and its clock."""

import re
import time
import uuid
from dataclasses import dataclass, field

from starlette.types import Scope

KEY = "serving.context"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")


@dataclass(slots=True)
class RequestContext:
    """`started` is the monotonic clock's time, in seconds, at which the request's headers were complete."""

    request_id: str
    started: float = field(default_factory=time.monotonic)


def begin(scope: Scope) -> RequestContext:
    """Give the request its context; an X-Request-ID that is short and plain is taken, else one is made."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            found = value.decode("ascii")
            break
    else:
        found = uuid.uuid4().hex
    scope[KEY] = RequestContext(found)
    return scope[KEY]


def context(scope: Scope) -> RequestContext:
    """The context that `begin` made."""
    return scope[KEY]
