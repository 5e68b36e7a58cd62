"""A connection carries one request at a time and reads its answer with llhttp, whatever the server sends."""

import asyncio
import errno
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from loadgen.client.exchange import Exchange
from loadgen.client.outcomes import broken, reason_phrase, refusal
from loadgen.targets.outcome import Outcome
from loadgen.targets.target import InvalidAnswer, Target

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 2 * MAX_BODY_BYTES + MAX_HEAD_BYTES  # sizes of chunks and trailers can be endless too
RECORDED = {b"x-served-by": "pod", b"x-request-id": "request_id", b"retry-after": "retry_after"}
MAX_RECORDED_BYTES = 200
CLOSED = {errno.ECONNRESET, errno.EPIPE}


class Owner(Protocol):
    """Sends requests over connections, and hears of the end of each: the pool."""

    target: Target
    now: Callable[[], float]

    def finished(self, exchange: Exchange, connection: "Connection") -> None: ...

    def send_again(self, exchange: Exchange) -> None: ...


class Connection(asyncio.Protocol):
    """`renew_at`: no request starts on it from then on. `exchange`: the request that it carries, or None."""

    def __init__(self, pool: Owner, renew_at: float) -> None:
        self._pool, self.renew_at = pool, renew_at
        self._now = pool.now
        self.exchange: Exchange | None = None
        self.closed = False
        self._used = False
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._bytes = self._body_bytes = 0
        self._in_body = self._framed = self._complete = self._reusable = self._surplus = False
        self._body: list[bytes] = []

    def send(self, exchange: Exchange) -> None:
        """Send a request; the pool hears of its end."""
        self.exchange = exchange
        self._transport.write(exchange.request)

    def abort(self) -> None:
        """Break the connection; its request, if any, is no longer its concern."""
        self.exchange, self.closed = None, True
        self._transport.abort()

    def close(self) -> None:
        self.closed = True
        self._transport.close()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # nothing was asked
            self.abort()
            return
        if exchange.first_byte != exchange.first_byte:  # NaN
            exchange.first_byte = self._now()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(exchange, error)
            return
        if self._complete:
            self._finish(exchange)
            return
        self._bytes += len(data)
        if self._bytes > MAX_HEAD_BYTES and not self._in_body:
            self._fail(exchange, Outcome.INVALID, f"headers of over {MAX_HEAD_BYTES // 1024} KiB")
        elif self._bytes > MAX_ANSWER_BYTES:
            self._fail(exchange, Outcome.INVALID, f"over {MAX_ANSWER_BYTES // 1024**2} MiB for one answer")

    def eof_received(self) -> None:
        if self.exchange is not None and self._in_body and not self._framed:  # a body that ends with the connection
            self._finish(self.exchange)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if (exchange := self.exchange) is None:
            return
        unanswered = exchange.first_byte != exchange.first_byte
        orderly = error is None or (isinstance(error, OSError) and error.errno in CLOSED)
        if unanswered and orderly and self._used and not exchange.stale:
            self.exchange = None
            self._pool.send_again(exchange)
        elif error is None:
            self._fail(exchange, Outcome.RESET, f"closed {'before an' if unanswered else 'within the'} answer")
        else:
            self._fail(exchange, *broken(error, Outcome.RESET))

    # Called by the parser

    def on_message_begin(self) -> None:
        self._surplus = self._complete  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length" or name == b"transfer-encoding":
            self._framed = True
        elif (field := RECORDED.get(name)) and not self._surplus:
            setattr(self.exchange, field, value[:MAX_RECORDED_BYTES])

    def on_headers_complete(self) -> None:
        if self._surplus or (status := self._parser.get_status_code()) < 200:
            return
        exchange = self.exchange
        assert exchange is not None
        exchange.status = status
        self._in_body = True
        if exchange.request.startswith(b"HEAD "):
            self._complete = True
        elif self._pool.target.accepts(status):
            exchange.stream = self._pool.target.stream(exchange.sample)

    def on_body(self, data: bytes) -> None:
        if self._surplus or self._complete:
            return
        self._body_bytes += len(data)
        if self._body_bytes > MAX_BODY_BYTES:
            raise AnswerTooLarge
        exchange = self.exchange
        assert exchange is not None
        if exchange.stream is not None:
            exchange.stream.feed(data, self._now() - exchange.sent)
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._in_body and not self._surplus:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()

    # The end of an exchange

    def _finish(self, exchange: Exchange) -> None:
        exchange.end = self._now()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        reusable = self._reusable and not self._surplus
        self.exchange = None
        self._used = True
        self._reset()
        if not reusable:
            self.close()
        self._read(exchange, body)
        self._pool.finished(exchange, self)

    def _read(self, exchange: Exchange, body: bytes) -> None:
        target = self._pool.target
        if not target.accepts(exchange.status):
            exchange.outcome = Outcome.HTTP
            exchange.detail, exchange.version = refusal(exchange.status, body)
            return
        try:
            stream = exchange.stream
            reading = stream.finish() if stream is not None else target.read(body, exchange.sample)
        except InvalidAnswer as invalid:
            exchange.outcome, exchange.detail = invalid.outcome, str(invalid)
            exchange.version = invalid.model_version
        except Exception as error:  # whatever a server sends, the load goes on
            exchange.outcome, exchange.detail = Outcome.INVALID, f"the body cannot be read ({type(error).__name__})"
        else:
            exchange.reading, exchange.version = reading, reading.model_version

    def _refuse(self, exchange: Exchange, error: Exception) -> None:
        """End an exchange at bytes that cannot be read, unless the answer was complete before them."""
        cause = error.__context__
        if self._complete:
            self._surplus = True
            self._finish(exchange)
        elif isinstance(cause, InvalidAnswer):
            self._fail(exchange, cause.outcome, str(cause))
        elif isinstance(cause, AnswerTooLarge):
            self._fail(exchange, Outcome.INVALID, f"a body of over {MAX_BODY_BYTES // 1024**2} MiB")
        elif isinstance(error, httptools.HttpParserUpgrade):
            exchange.status = 101
            self._fail(exchange, Outcome.HTTP, reason_phrase(101))
        else:
            self._fail(exchange, Outcome.INVALID, f"not valid HTTP: {cause or error}"[:MAX_RECORDED_BYTES])

    def _fail(self, exchange: Exchange, outcome: Outcome, detail: str) -> None:
        exchange.end, exchange.outcome, exchange.detail = self._now(), outcome, detail
        self.abort()
        self._pool.finished(exchange, self)


class AnswerTooLarge(Exception):
    """The body exceeds MAX_BODY_BYTES."""
