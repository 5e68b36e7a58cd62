"""Runs a service as a process: listens at once, loads in the background, and drains before it exits.

uvicorn alone stops listening as soon as SIGTERM arrives, while Kubernetes still sends new connections.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from apps.serving import logs, startup
from apps.serving.app import create_app
from apps.serving.connections.acceptor import Acceptor, listeners
from apps.serving.connections.protocol import BoundedProtocol
from apps.serving.connections.reading import READ_BYTES, BoundedReads
from apps.serving.connections.shared import Shared
from apps.serving.connections.turns import Turns
from apps.serving.identity import LoadError
from apps.serving.lifecycle import State
from apps.serving.runtime import Runtime
from apps.serving.service import Service
from apps.serving.settings import SettingsError, read_settings, warn_of_similar
from models.registry import RegistryError

LOG = logging.getLogger("serving")
FINISH_SECONDS = 1  # beyond the deadline of the requests in flight
TICK_SECONDS = 1
SWITCH_SECONDS = 0.001  # longest time that a computing thread keeps the interpreter lock while the event loop waits
INTERRUPTED = 130  # exit status that shells use for Ctrl-C


class Server(uvicorn.Server):
    """uvicorn's server with a drain before its shutdown. `exit_status` is the process's."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self.runtime, self.exit_status = runtime, 0
        max_age = runtime.settings.connection_max_age_seconds
        self._shared = Shared(Turns(), Turns(), runtime.bytes, runtime.admission, max_age)
        self._read_buffer = memoryview(bytearray(READ_BYTES))
        self._acceptors: list[Acceptor] = []
        self.servers = []  # uvicorn's own, which it closes; there are none
        self._end_drain, self._exit = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Start the drain on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> NoReturn:
        """Serve, then end the process here: asyncio and the interpreter would join threads that still compute."""
        await super().serve(sockets)
        if self.server_state.tasks:  # cancelled requests that are not in the log yet
            await asyncio.wait(self.server_state.tasks, timeout=FINISH_SECONDS)
        logging.shutdown()
        os._exit(self.exit_status)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then load in the background."""
        try:
            sockets = listeners(self.config.host, self.config.port)
        except OSError as error:
            LOG.error("cannot listen on %s:%d: %s", self.config.host, self.config.port, error)
            sys.exit(STARTUP_FAILURE)
        self._acceptors = [Acceptor(listener, self._protocol, self._shared.turns) for listener in sockets]
        for acceptor in self._acceptors:
            LOG.info("listening", extra=dict(zip(("host", "port"), acceptor.address, strict=True)))
        self.started = True
        self._tasks.append(asyncio.create_task(self._load()))

    async def main_loop(self) -> None:
        """Wait for the end of the drain. Ticks update the Date header; uvicorn's own loop ticks more often."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exit.wait(), TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and wait for the requests in flight."""
        for acceptor in self._acceptors:
            acceptor.close()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Start to drain; a second call ends the drain."""
        if self.runtime.lifecycle.state is State.DRAINING:
            self._end_drain.set()
        else:
            self._tasks.append(asyncio.create_task(self._drain()))

    def _protocol(self) -> BoundedReads:
        protocol = BoundedProtocol(self.config, self.server_state, self.lifespan.state, shared=self._shared)
        return BoundedReads(protocol, self._read_buffer)

    def _interrupt(self) -> None:
        """Handle Ctrl-C: skip the drain, because no router sends requests; a second Ctrl-C ends the process at once."""
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # works while the event loop is busy
        self._end_drain.set()
        self.stop()

    async def _drain(self) -> None:
        loaded = self.runtime.lifecycle.loaded is not None
        seconds = self.runtime.settings.drain_seconds if loaded else 0
        LOG.info("draining", extra={"drain_seconds": seconds})
        self.runtime.lifecycle.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end_drain.wait(), seconds)
        self._begin_exit()

    async def _load(self) -> None:
        try:
            await startup.load(self.runtime)
        except (LoadError, RegistryError) as error:
            self._fail(str(error))
        except Exception as error:  # a bug or a failing machine
            LOG.debug("load failed", exc_info=True)
            self._fail(f"The model could not be loaded: {type(error).__name__}: {error}")
        else:
            gc.freeze()  # loaded objects stay: collections need not traverse them
            health = self.runtime.lifecycle.health()
            LOG.info("ready", extra={"model": health["model"], "seconds": health["uptime_seconds"]})

    def _fail(self, text: str) -> None:
        LOG.error(" ".join(text.split()), extra={"requested_model": self.runtime.settings.requested_model})
        self.exit_status = 1
        self._begin_exit()

    def _begin_exit(self) -> None:
        self.should_exit = True
        self._exit.set()


def serve(app: FastAPI) -> NoReturn:
    """Serve until a signal or a failed load, and end the process."""
    runtime: Runtime = app.state.runtime
    settings = runtime.settings
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn annotates both as int, and passes them to asyncio, which takes floats.
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=settings.request_timeout_seconds + FINISH_SECONDS,  # type: ignore[arg-type]
    )
    sys.setswitchinterval(SWITCH_SECONDS)
    server = Server(config, runtime)
    server.run()
    sys.exit(server.exit_status)  # not reached: `Server.serve` ends the process


def main(service: Service, arguments: list[str] | None = None) -> int:
    """Run a service and end the process: status 0 after a signal, 1 without a model, 130 after Ctrl-C twice.

    Returns 2 for wrong settings, after one line in the log for each mistake.
    """
    parser = argparse.ArgumentParser(prog=f"python -m apps.{service.name.removesuffix('-service')}")
    parser.add_argument("--host", help="address to listen on (HOST)")
    parser.add_argument("--port", type=int, help="TCP port (PORT)")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(service.Settings, host=options.host, port=options.port)
    except SettingsError as error:
        logs.configure("error")
        for mistake in str(error).splitlines():
            LOG.error(mistake)
        return 2
    logs.configure(settings.log_level)
    warn_of_similar(service.Settings)
    serve(create_app(service, settings))
