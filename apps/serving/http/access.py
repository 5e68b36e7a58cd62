"""The outermost ASGI middleware: request ids, access log, metrics, and a problem for unexpected errors."""

import logging
import socket
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.serving.context import RequestContext, begin
from apps.serving.http.problem_responses import problem_response
from apps.serving.lifecycle import State
from apps.serving.problems import unexpected
from apps.serving.runtime import Runtime

ACCESS = logging.getLogger("serving.access")
QUIET = frozenset(
    {"/livez", "/readyz", "/healthz", "/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/metrics-simple"}
)  # requested all the time: not measured, and logged only when they fail


class Access:
    """`cors` wraps the response to an unexpected error, which passes no inner middleware."""

    def __init__(self, app: ASGIApp, runtime: Runtime, cors: Callable[[ASGIApp], ASGIApp] | None = None) -> None:
        self.app, self.runtime = app, runtime
        self.cors = cors or (lambda app: app)
        self.served_by = socket.gethostname().encode("ascii", "replace")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, status = begin(scope), 0
        self.runtime.admission.arrived -= request.arrived

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers(request)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            problem = unexpected(scope)
            request.outcome = problem.status
            if status:
                raise  # the response has started: the server can only cut the connection
            await self.cors(problem_response(Request(scope), problem))(scope, receive, send_with_headers)
        finally:
            if request.hold:
                request.hold.release()
            self._record(scope, request, request.outcome or status or 499, time.monotonic() - request.started)

    def _headers(self, request: RequestContext) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request.request_id.encode("ascii")), (b"x-served-by", self.served_by)]
        if request.traceparent:
            headers.append((b"traceparent", request.traceparent.encode("ascii")))
        draining = self.runtime.lifecycle.state is State.DRAINING
        if request.is_last(draining) if request.is_last else draining:
            headers.append((b"connection", b"close"))
        return headers

    def _record(self, scope: Scope, request: RequestContext, status: int, seconds: float) -> None:
        path: str = scope["path"]
        route: str = getattr(scope.get("route"), "path", path) if "endpoint" in scope else "unmatched"
        if route not in QUIET:
            self.runtime.metrics.observe(route, scope["method"], status, seconds)
        if not ACCESS.isEnabledFor(level := _level(route, status)):
            return
        fields = {
            "request_id": request.request_id,
            "method": scope["method"],
            "path": route,
            "status": status,
            "latency_seconds": round(seconds, 6),
        }
        if request.traceparent:
            fields["traceparent"] = request.traceparent
        ACCESS.log(level, "request", extra=fields)


def _level(route: str, status: int) -> int:
    if route in QUIET:  # their 503 reports a state and is no error
        return logging.DEBUG if status < 400 else logging.INFO
    return logging.ERROR if status >= 500 else logging.INFO
