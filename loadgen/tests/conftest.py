"""A stub service on 127.0.0.1 with faults that a test chooses, and a small MNIST cache."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREDICTION = {
    "label": "4",
    "probability": 0.875,
    "top": [{"label": label, "probability": share} for label, share in (("4", 0.875), ("9", 0.1), ("7", 0.025))],
    "model_version": "v1",
}


async def predict(request: web.Request) -> web.Response:
    return web.json_response(PREDICTION, headers={"X-Served-By": "pod-a"})


class Stub:
    """Answers with `handler` in its own thread; records bodies and connections (first and last use).

    Request number `interrupts_at` interrupts the run, so that no test depends on the machine's speed.
    """

    def __init__(self) -> None:
        self.prediction = PREDICTION
        self.handler: Handler = predict
        self.interrupts_at: int | None = None
        self.bodies: list[dict] = []
        self.connections: dict[tuple, tuple[float, float]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Stub":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def requests(self) -> int:
        return len(self.bodies)

    @staticmethod
    def reset(request: web.Request) -> None:
        """Breaks the connection as a killed process does: with RST, not FIN."""
        assert request.transport is not None
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/predict", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/predict"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        assert request.transport is not None
        peer, now = request.transport.get_extra_info("peername"), time.monotonic()
        self.connections[peer] = (self.connections.get(peer, (now,))[0], now)
        if self.requests == self.interrupts_at:
            os.kill(os.getpid(), signal.SIGINT)
        return await self.handler(request)


@pytest.fixture
def stub():
    with Stub() as service:
        yield service


@pytest.fixture
def refused_url():
    """An address that is bound, so that no other program can use it, and on which nothing listens."""
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/predict"


@pytest.fixture(autouse=True)
def mnist_cache(tmp_path, monkeypatch):
    """Twenty images with labels 0 to 9, twice; the first pixel of image n is n, and the last is 255."""
    images = np.zeros((20, 784), np.uint8)
    images[:, 0], images[:, 783] = np.arange(20), 255
    path = tmp_path / "cache" / "inference-service" / "mnist" / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, images=images, labels=np.arange(20, dtype=np.uint8) % 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path
