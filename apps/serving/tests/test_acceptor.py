"""Connections are accepted in portions, and probes before all others."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from apps.serving.connections import acceptor
from apps.serving.connections.acceptor import Acceptor, listeners
from apps.serving.connections.turns import PORTION, Turns

PROBE = b"GET /livez HTTP/1.1\r\n\r\n"
MANY = 200


class Recorder(asyncio.Protocol):
    """Records what each connection sends, in the order in which it is read, and answers with `ok`."""

    received: list[bytes]

    def __init__(self, received: list[bytes]) -> None:
        self.received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.transport.write(b"ok")


class FailingListener:
    """A listening socket whose first `failures` calls of `accept` raise EMFILE."""

    def __init__(self, listener: socket.socket, failures: int) -> None:
        self._listener, self.failures = listener, failures
        self.setblocking, self.fileno = listener.setblocking, listener.fileno
        self.getsockname, self.close = listener.getsockname, listener.close

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


def start(received: list[bytes], failures: int = 0, retry_seconds: float = 60) -> Acceptor:
    (listener,) = listeners("127.0.0.1", 0)
    failing: Any = FailingListener(listener, failures)
    return Acceptor(failing, lambda: Recorder(received), Turns(), retry_seconds)


def connect(acceptor: Acceptor, data: bytes) -> socket.socket:
    """Connect and send while the acceptor cannot run: the kernel queues the connection."""
    connection = socket.create_connection(acceptor.address)
    connection.sendall(data)
    connection.setblocking(False)
    return connection


async def answer(connection: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(connection, 100)


def close(acceptor: Acceptor, *connections: socket.socket) -> None:
    acceptor.close()
    for connection in connections:
        connection.close()


def test_many_connections_at_once_are_all_accepted():
    async def scenario():
        received: list[bytes] = []
        server = start(received)
        connections = [connect(server, b"%d" % number) for number in range(MANY)]
        assert [await answer(connection) for connection in connections] == [b"ok"] * MANY
        assert sorted(received) == sorted(b"%d" % number for number in range(MANY))
        close(server, *connections)

    run(scenario)


def test_a_probe_that_connects_after_many_others_is_answered_before_most_of_them():
    async def scenario():
        received: list[bytes] = []
        server = start(received)
        others = [connect(server, b"other") for _ in range(acceptor.PORTION - 1)]
        probe = connect(server, PROBE)
        assert await answer(probe) == b"ok"
        assert received.index(PROBE) <= PORTION, "the others that may be served at once, without waiting for a turn"
        assert [await answer(connection) for connection in others] == [b"ok"] * len(others)
        close(server, probe, *others)

    run(scenario)


def test_an_error_of_accept_is_retried():
    async def scenario():
        server = start([], failures=2, retry_seconds=0.05)
        connection = connect(server, b"hello")
        await asyncio.sleep(0.02)
        assert await answer(connection) == b"ok"
        close(server, connection)

    run(scenario)


def test_after_an_error_of_accept_the_listener_is_not_polled_until_the_retry():
    async def scenario():
        server = start([], failures=2)
        connection = connect(server, b"hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await answer(connection)
        assert server._listener.failures == 1  # type: ignore[attr-defined]  # a fake
        close(server, connection)

    run(scenario)


def test_close_stops_listening_and_keeps_accepted_connections():
    async def scenario():
        server = start([])
        connection = connect(server, b"first")
        assert await answer(connection) == b"ok"
        address = server.address
        server.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        connection.send(b"second")
        assert await answer(connection) == b"ok"
        connection.close()

    run(scenario)


def test_close_while_an_error_of_accept_waits_for_its_retry_does_not_listen_again():
    async def scenario():
        errors: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        server = start([], failures=1, retry_seconds=0.05)
        connection = connect(server, b"hello")
        await asyncio.sleep(0.02)
        close(server, connection)
        await asyncio.sleep(0.1)
        assert errors == []

    run(scenario)
