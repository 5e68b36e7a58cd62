"""Sends load over plain asyncio, so that the client takes little CPU time from the measured server."""

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

TIMEOUT_SECONDS = 60  # for one response
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")


@dataclass(frozen=True)
class Request:
    """The bytes to send, and the check of the body of a 200 response."""

    content: bytes
    is_correct: Callable[[bytes], bool] = lambda body: True


@dataclass
class LoadResult:
    """Latencies in seconds of the correct responses, and the number of all others by their cause."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Correct responses a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Latency in seconds; infinity without a correct response."""
        return percentile(self.latencies, percent)


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank; infinity without values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else math.inf


class Connection(asyncio.Protocol):
    """A connection to 127.0.0.1, opened when it is first needed and kept; it carries one request at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = bytearray()
        self._body_start = 0  # 0 while the headers are incomplete
        self._body_size: int | None = None  # None: chunked

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send `request` as it is; return the response's status and body. Raises OSError if the connection breaks."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self.port)
        self._received, self._body_start, self._body_size = bytearray(), 0, None
        self._response = loop.create_future()
        self._transport.write(request)
        return await self._response

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._body_start and (end := self._received.find(b"\r\n\r\n")) >= 0:
            self._body_start = end + 4
            length = CONTENT_LENGTH.search(bytes(self._received[:end]).lower())
            self._body_size = int(length[1]) if length else None
        if self._response is not None and not self._response.done() and self._is_complete():
            self._response.set_result((int(self._received[9:12]), bytes(self._received[self._body_start :])))

    def _is_complete(self) -> bool:
        if not self._body_start:
            return False
        if self._body_size is not None:
            return len(self._received) >= self._body_start + self._body_size
        return self._received.endswith(b"\r\n0\r\n\r\n")  # the body keeps the sizes of its chunks


class Target:
    """A port of 127.0.0.1, and the requests that it gets in turn."""

    def __init__(self, port: int, requests: Sequence[Request]) -> None:
        self.port, self._requests = port, cycle(requests)

    async def send(self, connection: Connection, result: LoadResult) -> None:
        """Send the next request and add its outcome to `result`."""
        request, start = next(self._requests), time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, body = await connection.send(request.content)
        except (OSError, TimeoutError) as error:
            result.failures[type(error).__name__] += 1
            connection.close()
            return
        seconds = time.monotonic() - start
        if status == 200 and request.is_correct(body):
            result.latencies.append(seconds)
        else:
            result.failures["wrong answer" if status == 200 else f"status {status}"] += 1


def post(path: str, content: object) -> bytes:
    """Return the bytes of a request with a JSON body."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def closed_loop(target: Target, connections: int, seconds: float) -> LoadResult:
    """Keep `connections` requests in flight: each connection sends again as soon as it has its response."""
    result, start = LoadResult(), time.monotonic()

    async def use(connection: Connection) -> None:
        while time.monotonic() - start < seconds:
            await target.send(connection, result)
        connection.close()

    async with asyncio.TaskGroup() as users:
        for _ in range(connections):
            users.create_task(use(Connection(target.port)))
    result.seconds = time.monotonic() - start
    return result


async def open_loop(target: Target, rate: float, seconds: float) -> LoadResult:
    """Send `rate` requests a second without waiting for responses: arrivals of a Poisson process."""
    result, start, due = LoadResult(), time.monotonic(), 0.0
    arrivals, idle = random.Random(1), list[Connection]()

    async def send() -> None:
        connection = idle.pop() if idle else Connection(target.port)
        await target.send(connection, result)
        idle.append(connection)

    async with asyncio.TaskGroup() as requests:
        while (due := due + arrivals.expovariate(rate)) < seconds:
            if (wait := start + due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            requests.create_task(send())
    result.seconds = time.monotonic() - start
    for connection in idle:
        connection.close()
    return result


def responds(target: Target) -> bool:
    """Whether one request gets a correct response now."""

    async def once() -> bool:
        result, connection = LoadResult(), Connection(target.port)
        await target.send(connection, result)
        connection.close()
        return bool(result.latencies)

    return asyncio.run(once())
