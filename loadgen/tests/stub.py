"""A service on 127.0.0.1 that does what a test says: latency, errors, stalls, hang-ups, TLS, hostile bytes."""

import asyncio
import json
import os
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

PREDICTION = {
    "label": "4",
    "probability": 0.875,
    "top": [{"label": label, "probability": share} for label, share in (("4", 0.875), ("9", 0.1), ("7", 0.025))],
    "model_version": "v1",
}


@dataclass
class Request:
    """A request that the stub has received; `number` counts from 1, over all connections and on its connection."""

    number: int
    on_connection: int
    head: str
    body: bytes
    writer: asyncio.StreamWriter

    def json(self) -> Any:
        return json.loads(self.body)

    def send(self, content: bytes) -> None:
        self.writer.write(content)

    def reset(self) -> None:
        """Break the connection as a killed process does: with RST, not FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Handler = Callable[[Request], Awaitable[None]]


def answer(body: Any = PREDICTION, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """Return an answer; `body` is JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"X-Served-By": "pod-a", "Content-Length": str(len(content))} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Any Reason\r\n{head}\r\n".encode() + content


def answering(body: Any = PREDICTION, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    return sending(answer(body, status, headers))


def sending(content: bytes, close: bool = False) -> Handler:
    """Send these bytes, whatever they are, and close the connection if asked to."""

    async def handler(request: Request) -> None:
        request.send(content)
        if close:
            request.writer.close()

    return handler


async def silent(request: Request) -> None:
    """Never answer."""


@dataclass
class Stub:
    """Answers with `handler` in a thread of its own; records requests, and the first and last use of connections.

    Request number `interrupts_at` interrupts this process, so that no test depends on the machine's speed.
    """

    tls: ssl.SSLContext | None = None
    handler: Handler = field(default_factory=answering)
    greeting: bytes = b""  # sent on each new connection, before any request
    interrupts_at: int | None = None
    received: list[Request] = field(default_factory=list)
    connections: dict[int, tuple[float, float]] = field(default_factory=dict)
    open_connections: int = 0

    def __enter__(self) -> "Stub":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def requests(self) -> int:
        return len(self.received)

    @property
    def bodies(self) -> list[Any]:
        return [request.json() for request in self.received]

    async def _start(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/predict"

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection, count = len(self.connections), 0
        self.connections[connection] = time.monotonic(), time.monotonic()
        self.open_connections += 1
        writer.write(self.greeting)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next((line for line in head.lower().split("\r\n") if line.startswith("content-length:")), ":0")
                body = await reader.readexactly(int(length.partition(":")[2]))
                count += 1
                request = Request(self.requests + 1, count, head, body, writer)
                self.received.append(request)
                self.connections[connection] = self.connections[connection][0], time.monotonic()
                if self.requests == self.interrupts_at:
                    os.kill(os.getpid(), signal.SIGINT)
                await self.handler(request)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()
