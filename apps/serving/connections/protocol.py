"""uvicorn's HTTP/1.1 protocol with bounds on headers, trailers, pipelined requests and waiting times.

A client that sends nothing, or one byte a second, or reads nothing of its answer, holds a socket for a bounded time
and delays no other client. A body is never parsed as a request: Upgrade is ignored (RFC 9110, 7.8).
"""

import random
import time
import weakref
from asyncio import Transport
from functools import partial
from typing import Any

import httptools
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from apps.serving.byte_budget import Usage
from apps.serving.connections import request_head
from apps.serving.connections.backlog import SLICE_BYTES, Backlog
from apps.serving.connections.closing import Closing
from apps.serving.connections.cycles import forget_body, release, without_chunks
from apps.serving.connections.flow import PipelineFlow
from apps.serving.connections.refusals import NOT_HTTP, RefusedError
from apps.serving.connections.request_head import MAX_HEADER_BYTES, TOO_LARGE, IncompleteHead
from apps.serving.connections.shared import Shared
from apps.serving.connections.unread import UnreadAnswers
from apps.serving.connections.weak import Weak
from apps.serving.context import KEY, PROBES, RequestContext, context

PROBE_BYTES = 512  # at most, of a connection's first request that is parsed at once because it may be a probe
MAX_PIPELINED = 8  # requests that are parsed and wait for the response before theirs; further ones stay unparsed
JITTER = 0.1  # of a connection's age: connections that were opened together do not end together

TOO_MUCH_FRAMING = RefusedError(431, f"Trailers or chunk extensions exceed {MAX_HEADER_BYTES} bytes. Send less.")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. uvicorn's keep-alive timer runs between requests; all other bounds are set here."""

    flow: PipelineFlow

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], *, shared: Shared) -> None:
        super().__init__(config, server_state, app_state)
        self._shared, self._turns = shared, shared.turns
        self._backlog = Backlog(shared.turns, Weak(self._parse_slice), Weak(self._pipeline_is_full))
        self._head = IncompleteHead(self.loop, Weak(self._head_timed_out))
        self._incomplete = Usage(shared.budget, Weak(self._drop_incomplete))  # the bytes of both
        self._framing_bytes = 0  # received since the last byte of a body that is not complete
        age = shared.max_age_seconds * random.uniform(1 - JITTER, 1 + JITTER)
        self._expires = time.monotonic() + age if age else float("inf")

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the timer of the first request's head."""
        super().connection_made(transport)
        self.flow = PipelineFlow(transport, Weak(self._reading_resumed))
        self._unread = UnreadAnswers(transport, self._shared.budget, self.loop)
        self._closing = Closing(weakref.proxy(self), self.flow, self._shared.discards, Weak(self._stop_timers))
        self._head.start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, release the counted bytes, and tell the application."""
        self._head.clear()
        self._unread.end()
        self._incomplete.set(0)
        for cycle, _ in self.pipeline:
            cycle.disconnected = True
            release(cycle)
        self.pipeline.clear()
        if self.cycle is not None:
            release(self.cycle)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a possible probe at once, and other small reads while there is little to do; queue everything else."""
        if self._closing.discarding:
            return self._closing.discard()
        self._unset_keepalive_if_required()
        is_small = len(data) <= SLICE_BYTES and not self._backlog.unparsed and not self.pipeline
        may_be_probe = self.cycle is None and len(data) <= PROBE_BYTES
        if is_small and (may_be_probe or self._turns.claim()):
            self._feed(data)
            if self._head.size or self._incomplete:
                self._count_incomplete()
        else:
            self._backlog.unparsed += data
            self._count_incomplete()
            self._backlog.proceed()

    def _parse_slice(self, data: bytes) -> None:
        if self._closing.discarding or self.parser is None or self.transport.is_closing():
            self._backlog.unparsed.clear()
        elif data:
            self._feed(data)
        self._count_incomplete()

    def _reading_resumed(self) -> None:
        if self._backlog.unparsed:  # not at once: uvicorn resumes reading while it ends a response
            self.loop.call_soon(self._backlog.proceed)

    def _pipeline_is_full(self) -> bool:
        cycles = [cycle for cycle, _ in self.pipeline] or ([self.cycle] if self.cycle else [])
        body_bytes = sum(len(cycle.body) for cycle in cycles)
        return len(self.pipeline) >= MAX_PIPELINED or body_bytes > HIGH_WATER_LIMIT

    def _count_incomplete(self) -> None:
        self.flow.hold(self._backlog.is_large)
        size = len(self._backlog.unparsed) + self._head.size
        self._incomplete.set(0 if self._closing.discarding else size)

    def _drop_incomplete(self) -> None:
        self._backlog.unparsed.clear()
        self._closing.refuse(RefusedError(503, self._shared.budget.refusal))

    def _feed(self, data: bytes) -> None:
        """Feed the parser; count the bytes of heads, trailers and chunk framing that are still incomplete."""
        self._framing_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            return self._closing.refuse(cause if isinstance(cause, RefusedError) else NOT_HTTP)
        if self.cycle is not None and self.cycle.more_body:
            if self._framing_bytes > MAX_HEADER_BYTES and not self._closing.discarding:
                self._closing.refuse(TOO_MUCH_FRAMING)
            return
        idle = self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None)
        if not idle or self.transport.is_closing():
            return
        self._head.size += len(data)
        self._head.start_timer()
        if self._head.size > MAX_HEADER_BYTES:
            self._closing.refuse(TOO_LARGE)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the head again without Upgrade: the parser has ended the message there, whatever its length is."""
        head = request_head.without_upgrade(*self._parsed_head())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(head)
        if rest and not self._closing.discarding:
            self._feed(rest)

    def _parsed_head(self) -> tuple[bytes, str, bytes, list[tuple[bytes, bytes]]]:
        return self.parser.get_method(), self.parser.get_http_version(), self.url, self.headers

    def on_headers_complete(self) -> None:
        """Check the head and hand the request to the application. The parser wraps a RefusedError that is raised."""
        self._head.clear()
        self._backlog.body_left = request_head.check_head(*self._parsed_head())
        if self.parser.should_upgrade():
            return
        self.scope["state"][KEY] = RequestContext(is_last=Weak(self._is_last))
        super().on_headers_complete()
        self.headers = []  # for trailers, which are dropped as RFC 9110, 6.5.1 allows
        self._framing_bytes = 0
        self.cycle.on_response = partial(Weak(self._response_completed), self.cycle)
        if self.pipeline:
            self.flow.resume_reading()  # otherwise a client that closes while its request computes goes unnoticed

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body; count it until the request is answered."""
        self._framing_bytes = 0
        self._backlog.body_left -= len(body)
        cycle = self.cycle
        if cycle.response_complete:
            return
        request = context(cycle.scope)
        if (hold := request.hold) is None:
            hold = request.hold = self._shared.budget.hold(partial(forget_body, cycle))
        hold.grow(len(body))
        if not hold.dropped:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass on the end of the body."""
        if self.parser.should_upgrade():
            return
        if hold := context(self.cycle.scope).hold:
            hold.complete = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Start the application in turn; until then the request counts as arrived, so that a burst is visible."""
        context(cycle.scope).arrived = True
        self._shared.arrivals.arrived += 1
        if cycle.scope["http_version"] == "1.0":
            app = without_chunks(app, cycle)
        if cycle.scope["path"] in PROBES or self._turns.claim():
            super()._start_asgi_task(cycle, app)
        else:
            self._turns.enqueue(partial(super()._start_asgi_task, cycle, app))

    def _is_last(self, draining: bool) -> bool:
        """Return whether a response that starts now ends its connection: no request waits, and it is old or drains."""
        waiting = self.pipeline or self._backlog.unparsed or self._head.size
        return not waiting and (draining or time.monotonic() > self._expires)

    def _response_completed(self, cycle: RequestResponseCycle) -> None:
        """Continue with the next request, or linger if the request was answered before it was complete."""
        none_waits = not self.pipeline
        self.on_response_complete()
        if self.transport.is_closing():
            self._unread.closing()
        elif self._closing.refusal and none_waits:
            self._closing.send(self._closing.refusal)
        elif cycle.more_body:
            self._closing.linger()
        else:
            self._backlog.proceed()

    def pause_writing(self) -> None:
        """Called by the transport: the client reads more slowly than it is answered."""
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        """Called by the transport: the client has read most of the buffer."""
        self._unread.end()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection."""
        self._closing.close()

    def shutdown(self) -> None:
        """Close the connection when it is idle; a request that is being received is still served."""
        if not self._head.size and not self._backlog.unparsed:
            super().shutdown()

    def _head_timed_out(self) -> None:
        if self._head.size:
            seconds = request_head.HEADER_SECONDS
            self._closing.refuse(RefusedError(408, f"The headers were not complete within {seconds} seconds."))
        else:
            self.transport.close()

    def _stop_timers(self) -> None:
        self._head.clear()
        self._unset_keepalive_if_required()
