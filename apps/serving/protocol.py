"""uvicorn's HTTP/1.1 protocol with the bounds that it lacks: on headers, on trailers, on pipelining, and on patience.

A client that sends nothing, or a byte a second, or reads nothing of its answer, holds a socket for a bounded time and
costs no one else anything. What belongs to a body is never taken for a request: Upgrade is ignored (RFC 9110, 7.8).
"""

import random
import time
from asyncio import TimerHandle
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from apps.serving.byte_budget import Hold
from apps.serving.context import ARRIVED, HOLD, LAST, PROBES, STARTED
from apps.serving.cycles import PipelineFlow, forget_body, release, send_unframed
from apps.serving.refusals import NOT_HTTP, RefusedError, response
from apps.serving.unread import UnreadAnswers, gone

MAX_HEADER_BYTES = 32_768  # request line and headers together; also of trailers, and of what frames a chunk
HEADER_SECONDS = 10  # from connecting, or from a request's first byte, to the end of its headers
DISCARD_SECONDS = 0.01  # between two reads of what is thrown away
LINGER_SECONDS = 2  # for the rest of a request that was answered early: a reset could overtake the answer
JITTER = 0.1  # of a connection's age: those that were opened together do not end together
SLICE_BYTES = 4096  # parsed at once, so that a read of many requests costs no more memory than one of a few
PROBE_BYTES = 512  # of the first request of a connection, as probes come
LOOK_SECONDS = 0.5  # between two looks whether a client is there that is not read
MAX_PIPELINED = 8  # requests that are parsed and wait for the one before them; the rest waits as bytes

TOO_LARGE = RefusedError(431, f"Path and headers exceed {MAX_HEADER_BYTES} bytes. Send less.")
TOO_MUCH_FRAMING = RefusedError(431, f"Trailers or chunk extensions exceed {MAX_HEADER_BYTES} bytes. Send less.")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Between requests uvicorn's keep-alive timer runs; everything else is bounded here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runtime = self.config.app.state.runtime
        self._unparsed = bytearray()  # waits for its turn, or for MAX_PIPELINED requests
        self._in_turn = False
        self._header_bytes = 0  # received of headers that are not complete
        self._body_left = 0  # bytes of a body of known length
        self._framing_bytes = 0  # received since the last byte of a body that is not complete
        self._headers_due: TimerHandle | None = None
        self._incomplete: Hold | None = None  # headers, and what is not parsed
        self._discarding = False
        self._refused: RefusedError | None = None  # to be sent after the answers to what came before it
        settings = self._runtime.settings
        age = settings.connection_max_age_seconds * random.uniform(1 - JITTER, 1 + JITTER)
        self._expires = time.monotonic() + age if age else float("inf")

    def connection_made(self, transport: Any) -> None:
        """Give the first request its time."""
        super().connection_made(transport)
        self.flow = PipelineFlow(transport, self._resumed)
        self._unread = UnreadAnswers(transport, self._runtime.bytes, self.loop)
        self._headers_due = self.loop.call_later(HEADER_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers, and whatever waits for the client."""
        self._headers_arrived()
        self._unread.end()
        self._count_incomplete(0)
        for cycle, _ in self.pipeline:
            cycle.disconnected = True
            release(cycle)
        self.pipeline.clear()
        if self.cycle is not None:
            release(self.cycle)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse at once what may be a probe, or little when few ask; else in turn, as the pipeline has room."""
        if self._discarding:
            self.transport.pause_reading()  # else all that there is would be read before others have their turn
            self.loop.call_later(DISCARD_SECONDS, self._discard)
            return
        self._unset_keepalive_if_required()
        probe = self.cycle is None and len(data) <= PROBE_BYTES
        little = len(data) <= SLICE_BYTES and not self._unparsed and not self.pipeline
        if little and (probe or self._runtime.turns.spare()):
            self._feed(data)
            if self._header_bytes or self._incomplete:
                self._hold_reading()
        else:
            self._unparsed += data
            self._hold_reading()
            self._go_on()

    def _discard(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _go_on(self) -> None:
        if self._unparsed and not self._in_turn and not self._pipeline_is_full():
            self._in_turn = True
            self._runtime.turns.wait(self._parse)

    def _parse(self) -> None:
        """Parse a slice, and wait for the next turn."""
        self._in_turn = False
        size = max(SLICE_BYTES, min(self._body_left, HIGH_WATER_LIMIT))
        data = bytes(self._unparsed[:size])
        del self._unparsed[:size]
        if self._discarding or self.parser is None or self.transport.is_closing():
            self._unparsed.clear()
        elif data:
            self._feed(data)
        self._hold_reading()
        self._go_on()

    def _resumed(self) -> None:
        """Go on soon; uvicorn resumes reading in the middle of ending an answer."""
        if self._unparsed:
            self.loop.call_soon(self._go_on)

    def _pipeline_is_full(self) -> bool:
        cycles = [cycle for cycle, _ in self.pipeline] or ([self.cycle] if self.cycle else [])
        waiting = sum(len(cycle.body) for cycle in cycles)
        return len(self.pipeline) >= MAX_PIPELINED or waiting > HIGH_WATER_LIMIT

    def _hold_reading(self) -> None:
        held, self.flow.held = self.flow.held, len(self._unparsed) > HIGH_WATER_LIMIT
        if self.flow.held:
            self.flow.pause_reading()
            if not held:
                self._look_for_end()
        elif held:
            self.flow.resume_reading()
        self._count_incomplete(len(self._unparsed) + self._header_bytes)

    def _look_for_end(self) -> None:
        """Notice that the client has gone, of which nobody hears who does not read."""
        if not self.flow.held or self.transport.is_closing():
            return
        if gone(self.transport):
            self.transport.abort()
        else:
            self.loop.call_later(LOOK_SECONDS, self._look_for_end)

    def _count_incomplete(self, size: int) -> None:
        if size and not self._discarding:
            self._incomplete = self._incomplete or self._runtime.bytes.hold(self._crowded)
            self._incomplete.grow(size - self._incomplete.size)
        elif self._incomplete is not None:
            self._incomplete.release()
            self._incomplete = None

    def _crowded(self) -> None:
        self._unparsed.clear()
        self._refuse(RefusedError(503, self._runtime.bytes.crowded))

    def _feed(self, data: bytes | memoryview) -> None:
        """Feed the parser; count what belongs to headers, trailers or chunk framing that is still incomplete."""
        self._framing_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            return self._refuse(cause if isinstance(cause, RefusedError) else NOT_HTTP)
        if self.cycle is not None and self.cycle.more_body:
            if self._framing_bytes > MAX_HEADER_BYTES and not self._discarding:
                self._refuse(TOO_MUCH_FRAMING)
            return
        idle = self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None)
        if not idle or self.transport.is_closing():
            return
        self._header_bytes += len(data)
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._late)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(TOO_LARGE)

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Parse the head again without Upgrade: the parser has ended the message there, whatever its length is."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"\r\n".join([*lines, b"", b""]))
        if not self._discarding and len(rest):
            self._feed(rest)

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        self._headers_arrived()
        self._check_headers()
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        self.headers = []  # of trailers, which are dropped as RFC 9110, 6.5.1 allows
        self._framing_bytes = 0
        cycle, scope = self.cycle, self.cycle.scope
        scope[STARTED], scope[LAST] = time.monotonic(), self._is_last
        cycle.on_response = partial(self._answered, cycle)
        if scope["http_version"] == "1.0":
            cycle.send = partial(send_unframed, cycle)
        if self.pipeline:
            self.flow.resume_reading()  # else the end of a client whose request computes would not be noticed

    def on_body(self, body: bytes) -> None:
        """Hand over a part of the body, and count it until its request is answered."""
        self._framing_bytes = 0
        self._body_left -= len(body)
        cycle = self.cycle
        if cycle.response_complete:
            return
        if (hold := cycle.scope.get(HOLD)) is None:
            hold = cycle.scope[HOLD] = self._runtime.bytes.hold(lambda: forget_body(cycle))
        hold.grow(len(body))
        if not hold.dropped:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand over the end of the body."""
        if self.parser.should_upgrade():
            return
        if hold := self.cycle.scope.get(HOLD):
            hold.complete = True
        super().on_message_complete()

    def _check_headers(self) -> None:
        """Raise RefusedError, which the parser wraps, for what another server could read as another request."""
        size, hosts, self._body_left = len(self.url), 0, 0
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                self._body_left = int(value)
            elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                raise RefusedError(501, f"Transfer-Encoding {value[:80]!r} is not read here. Send chunked.")
        if size > MAX_HEADER_BYTES:
            raise TOO_LARGE
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise RefusedError(400, f"An HTTP/1.1 request has exactly one Host header; {hosts} were sent.")
        if self.parser.get_method() == b"CONNECT":
            raise RefusedError(501, "CONNECT is for proxies, and this is none. Use another method.")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Count the request as waiting until its turn on the event loop: a burst shall not queue there unseen."""
        cycle.scope[ARRIVED] = 1
        self._runtime.admission.arrived += 1
        if cycle.scope["path"] in PROBES or self._runtime.turns.spare():
            super()._start_asgi_task(cycle, app)
        else:
            self._runtime.turns.wait(partial(super()._start_asgi_task, cycle, app))

    def _is_last(self, ending: bool) -> bool:
        """Whether an answer that begins now ends the connection, which is old or `ending`: nothing has come since."""
        more = self.pipeline or self._unparsed or self._header_bytes
        return not more and (ending or time.monotonic() > self._expires)

    def _answered(self, cycle: RequestResponseCycle) -> None:
        """Go on with the next request, or wait for the rest of one that was answered before it was complete."""
        none_waits = not self.pipeline
        self.on_response_complete()
        if self.transport.is_closing():
            return self._unread.closing()
        if self._refused and none_waits:
            return self._send_refusal(self._refused)
        if cycle.more_body:
            return self._linger()
        self._go_on()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        """It has read most of what there was."""
        self._unread.end()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection; a client that has not even read its last answer will not."""
        self.transport.abort() if self.transport.get_write_buffer_size() else super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Close when idle; a request that is on its way is still served."""
        if not self._header_bytes and not self._unparsed:
            super().shutdown()

    def _headers_arrived(self) -> None:
        self._header_bytes = 0
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _late(self) -> None:
        self._headers_due = None
        if self._header_bytes:
            self._refuse(RefusedError(408, f"The headers were not complete within {HEADER_SECONDS} seconds."))
        else:
            self.transport.close()

    def _refuse(self, refused: RefusedError) -> None:
        """Answer what cannot be served, after the answers to what came before it; nothing more is read."""
        if self.transport.is_closing() or self._discarding:
            return
        self._discarding, cycle = True, self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:  # the mistake is in its body
            if self.pipeline:
                release(self.pipeline.popleft()[0])
            elif cycle.response_started:
                return self.transport.close()  # an answer is under way, and another cannot be put into it
            else:
                cycle.disconnected = True
                cycle.message_event.set()
                return self._send_refusal(refused)
        if cycle is None or cycle.response_complete:
            return self._send_refusal(refused)
        self._refused = refused

    def _send_refusal(self, refused: RefusedError) -> None:
        self.transport.write(response(refused))
        self._linger()

    def _linger(self) -> None:
        self._headers_arrived()
        self._unset_keepalive_if_required()
        self._discarding = True
        self.flow.held = False
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)
