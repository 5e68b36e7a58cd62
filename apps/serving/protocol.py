"""uvicorn's HTTP protocol with what it leaves open: bounds on headers, and patience that ends.

A client that sends nothing, or a byte a second, or a body that nobody reads, holds a socket for a bounded time
and costs no one else anything.
"""

import json
import logging
import uuid
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.serving.context import ARRIVED

LOG = logging.getLogger("serving")
MAX_HEADER_BYTES = 32_768  # request line and headers together
HEADER_SECONDS = 10  # from connecting, or from a request's first byte, to the end of its headers
LINGER_SECONDS = 2  # for the rest of a request that was answered early: a reset could overtake the answer


class RefusedError(Exception):
    """A request whose headers are not accepted."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Between requests uvicorn's keep-alive timer runs; everything else is bounded here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0  # received of headers that are not complete
        self._headers_due: TimerHandle | None = None
        self._discarding = False

    def connection_made(self, transport: Any) -> None:
        """Give the first request its time."""
        super().connection_made(transport)
        self._headers_due = self.loop.call_later(HEADER_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._headers_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; count what belongs to headers that are still incomplete."""
        if self._discarding:
            return
        super().data_received(data)
        idle = self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None)
        if not idle or self.transport.is_closing():
            return
        self._header_bytes += len(data)
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._late)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._too_large()

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        self._headers_arrived()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADER_BYTES:
            raise RefusedError  # the parser turns it into its own error, which `send_400_response` answers
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Count the request as waiting until its turn on the event loop: a burst shall not queue there unseen."""
        cycle.scope[ARRIVED] = 1
        self.config.app.state.runtime.admission.arrived += 1
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of this one when it was answered before it was complete."""
        unread = self.cycle.more_body
        super().on_response_complete()
        if unread and not self.transport.is_closing():
            self._linger()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or too much of it."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers or ())
        self._too_large() if size > MAX_HEADER_BYTES else self._refuse(400, "This is not HTTP/1.1. Correct it.")

    def shutdown(self) -> None:
        """Close when idle; a request that is on its way is still served."""
        if not self._header_bytes:
            super().shutdown()

    def _headers_arrived(self) -> None:
        self._header_bytes = 0
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _late(self) -> None:
        self._headers_due = None
        if self._header_bytes:
            self._refuse(408, f"The headers were not complete within {HEADER_SECONDS} seconds.")
        else:
            self.transport.close()

    def _too_large(self) -> None:
        self._refuse(431, f"Path and headers exceed {MAX_HEADER_BYTES} bytes. Send less.")

    def _refuse(self, status: int, detail: str) -> None:
        if self.transport.is_closing() or self._discarding:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an answer is under way, and another cannot be put into it
            return
        problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
        request_id = uuid.uuid4().hex
        LOG.info("refused", extra={"request_id": request_id, "status": status})
        body = json.dumps({**problem, "request_id": request_id, "errors": []}).encode()
        head = (
            f"HTTP/1.1 {status} {problem['title']}\r\nContent-Type: application/problem+json\r\n"
            f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._linger()

    def _linger(self) -> None:
        self._headers_arrived()
        self._discarding = True
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
