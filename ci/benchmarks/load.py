"""Sends load over plain asyncio: a client that costs little beside the server that it measures."""

import asyncio
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

TIMEOUT_SECONDS = 60  # for one answer
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")


@dataclass(frozen=True)
class Request:
    """The bytes to send, and whether the body of a 200 answers them rightly."""

    content: bytes
    accept: Callable[[bytes], bool] = lambda body: True


@dataclass
class Measured:
    """What came of a load: a latency in seconds for each right answer; everything else by kind."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Seconds; infinity without a right answer."""
        return percentile(self.latencies, percent)


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank; infinity without values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else math.inf


class Target:
    """Where to send, and what: each request in turn."""

    def __init__(self, port: int, requests: Sequence[Request]) -> None:
        self.port, self._next = port, cycle(requests)

    async def ask(self, connection: "Connection", measured: Measured) -> None:
        """Send one request and note what came of it."""
        request, begun = next(self._next), time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, body = await connection.send(request.content)
        except (OSError, TimeoutError) as error:
            measured.failures[type(error).__name__] += 1
            connection.close()
            return
        seconds = time.monotonic() - begun
        if status == 200 and request.accept(body):
            measured.latencies.append(seconds)
        else:
            measured.failures["wrong answer" if status == 200 else f"status {status}"] += 1


class Connection(asyncio.Protocol):
    """One connection to 127.0.0.1, opened when it is first needed and kept; one request at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._transport: asyncio.Transport | None = None
        self._clear()

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send `request` as it is; return the answer's status and body. Raises OSError when the connection breaks."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, "127.0.0.1", self.port)
        self._clear()
        self._outcome = loop.create_future()
        self._transport.write(request)
        return await self._outcome

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._body and (end := self._received.find(b"\r\n\r\n")) >= 0:
            self._body = end + 4
            length = LENGTH.search(bytes(self._received[:end]).lower())
            self._size = int(length[1]) if length else None
        if not self._body or self._outcome is None or self._outcome.done():
            return
        if self._complete():
            self._outcome.set_result((int(self._received[9:12]), bytes(self._received[self._body :])))

    def _complete(self) -> bool:
        if self._size is not None:
            return len(self._received) >= self._body + self._size
        return self._received.endswith(b"\r\n0\r\n\r\n")  # in chunks; the body keeps their marks

    def _clear(self) -> None:
        self._received, self._body, self._size = bytearray(), 0, None
        self._outcome: asyncio.Future | None = None


def post(path: str, content: object) -> bytes:
    """A request with a JSON body, ready to be sent."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def closed_loop(target: Target, connections: int, seconds: float) -> Measured:
    """Load of `connections` users; each sends again as soon as it is answered."""
    measured, begun = Measured(), time.monotonic()

    async def use(connection: Connection) -> None:
        while time.monotonic() - begun < seconds:
            await target.ask(connection, measured)
        connection.close()

    async with asyncio.TaskGroup() as users:
        for _ in range(connections):
            users.create_task(use(Connection(target.port)))
    measured.seconds = time.monotonic() - begun
    return measured


async def open_loop(target: Target, rate: float, seconds: float) -> Measured:
    """Load of `rate` requests a second that do not wait for each other: arrivals as in a Poisson process."""
    measured, begun, due = Measured(), time.monotonic(), 0.0
    arrivals, free = random.Random(1), []

    async def ask() -> None:
        connection = free.pop() if free else Connection(target.port)
        await target.ask(connection, measured)
        free.append(connection)

    async with asyncio.TaskGroup() as requests:
        while (due := due + arrivals.expovariate(rate)) < seconds:
            if (wait := begun + due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            requests.create_task(ask())
    measured.seconds = time.monotonic() - begun
    for connection in free:
        connection.close()
    return measured


def answers(target: Target) -> bool:
    """Whether one request gets a right answer now."""

    async def once() -> bool:
        measured, connection = Measured(), Connection(target.port)
        await target.ask(connection, measured)
        connection.close()
        return bool(measured.latencies)

    return asyncio.run(once())
