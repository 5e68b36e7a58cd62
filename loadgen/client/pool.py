"""Connections to one endpoint: reused while young enough, opened where none is idle; and the timeouts of requests."""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from collections import deque
from collections.abc import Callable
from typing import Literal

from loadgen.client.connection import Connection
from loadgen.client.endpoint import Endpoint
from loadgen.client.exchange import Exchange
from loadgen.client.outcomes import broken
from loadgen.targets.outcome import Outcome
from loadgen.targets.target import Target

Connections = Literal["fresh", "kept"] | float  # a number: seconds after which a connection is renewed
NAMED = {"kept": math.inf, "fresh": 0.0}  # seconds to renewal
RESOLVE_SECONDS = 5.0  # an address is looked up again after this


class Pool:
    """Sends requests and calls `on_end` with each when it has ended, in whatever way.

    now: the clock of the run.
    """

    def __init__(
        self,
        target: Target,
        to: Endpoint,
        now: Callable[[], float],
        on_end: Callable[[Exchange], None],
        *,
        timeout_seconds: float,
        connections: Connections = "kept",
        tls: ssl.SSLContext | None = None,
        seed: int = 0,
    ) -> None:
        self.target, self.now = target, now
        self._to, self._on_end, self._timeout_seconds, self._tls = to, on_end, timeout_seconds, tls
        self._renewal = connections if isinstance(connections, float | int) else NAMED[connections]
        self._random = random.Random(seed)
        self._young = True  # the first connections live shorter, so that not all are renewed at once
        self._idle: deque[Connection] = deque()
        self._under_way: dict[Exchange, Connection | None] = {}  # in the order of their deadlines; what carries each
        self._timer: asyncio.TimerHandle | None = None
        self._addresses: list[str] = []
        self._resolve_at = -math.inf

    def __len__(self) -> int:
        """Return the number of requests under way."""
        return len(self._under_way)

    def send(self, exchange: Exchange) -> None:
        """Send a request over an idle connection, or a new one; its timeout begins now."""
        exchange.sent = now = self.now()
        self._under_way[exchange] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_seconds, self._expire)
        idle = self._idle
        while idle:
            connection = idle.popleft()
            if connection.closed:
                continue
            if now < connection.renew_at:
                self._send_over(connection, exchange)
                return
            connection.close()
        self._open_for(exchange)

    def send_again(self, exchange: Exchange) -> None:
        """Send once more, over a new connection, what an idle connection's end has kept from being answered."""
        exchange.stale = True
        self._open_for(exchange)

    def finished(self, exchange: Exchange, connection: Connection) -> None:
        """Take back a connection whose request has ended."""
        if not connection.closed:
            if self._renewal:
                self._idle.append(connection)
            else:
                connection.abort()  # the answer is complete; TLS would wait for the server's part of the closing
        self._end(exchange)

    def cut_off(self) -> None:
        """End all that is under way as interrupted."""
        for exchange in list(self._under_way):
            self._abandon(exchange, Outcome.INTERRUPTED, "interrupted")

    def close(self) -> None:
        """Close the idle connections."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._idle:
            connection.close()

    def _end(self, exchange: Exchange) -> None:
        if exchange in self._under_way:
            del self._under_way[exchange]
            self._on_end(exchange)

    def _send_over(self, connection: Connection, exchange: Exchange) -> None:
        self._under_way[exchange] = connection
        connection.send(exchange)

    def _open_for(self, exchange: Exchange) -> None:
        exchange.opening = asyncio.get_running_loop().create_task(self._open(exchange))

    async def _open(self, exchange: Exchange) -> None:
        began = self.now()
        try:
            connection = await self._connect()
        except OSError as error:
            exchange.end = self.now()
            exchange.outcome, exchange.detail = broken(error, Outcome.CONNECT)
            self._end(exchange)
        else:
            exchange.connecting += self.now() - began
            exchange.opening = None
            self._send_over(connection, exchange)

    async def _connect(self) -> Connection:
        """Try the endpoint's addresses in turn. Raises OSError."""
        loop, failure = asyncio.get_running_loop(), OSError("the host has no address")
        for address in await self._resolved():
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self, self._renew_at()),
                    address,
                    self._to.port,
                    ssl=self._tls,
                    server_hostname=self._to.host if self._tls else None,
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    async def _resolved(self) -> list[str]:
        if self.now() >= self._resolve_at:
            loop = asyncio.get_running_loop()
            infos = await loop.getaddrinfo(self._to.host, self._to.port, proto=6)
            self._addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
            self._resolve_at = self.now() + RESOLVE_SECONDS
        return self._addresses

    def _renew_at(self) -> float:
        now = self.now()
        if self._renewal == math.inf:
            return math.inf
        # Each of the first generation gets a random part of a lifetime, and a whole one after that.
        self._young = self._young and now < self._renewal
        return now + self._renewal * (self._random.random() if self._young else 1.0)

    def _expire(self) -> None:
        self._timer = None
        now, limit = self.now(), self._timeout_seconds
        while self._under_way:
            exchange = next(iter(self._under_way))
            if (remaining := exchange.sent + limit - now) > 0:
                self._timer = asyncio.get_running_loop().call_later(remaining, self._expire)
                return
            self._abandon(exchange, Outcome.TIMEOUT, _timeout_detail(exchange))

    def _abandon(self, exchange: Exchange, outcome: Outcome, detail: str) -> None:
        if exchange.opening is not None:
            exchange.opening.cancel()
        connection = self._under_way[exchange]
        if connection is not None and connection.exchange is exchange:
            connection.abort()
        exchange.end, exchange.outcome, exchange.detail = self.now(), outcome, detail
        self._end(exchange)


def _timeout_detail(exchange: Exchange) -> str:
    if exchange.opening is not None:
        return "no connection in time"
    return "no answer in time" if math.isnan(exchange.first_byte) else "no complete answer in time"
