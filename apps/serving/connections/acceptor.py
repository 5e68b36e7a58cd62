"""Accepts connections in small portions, health probes first.

asyncio's own server sets up and reads all waiting connections before it polls again, so that a probe among thousands
of connections would wait for all of them.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from apps.serving.connections.turns import Turns
from apps.serving.context import PROBES

BACKLOG = 2048  # connections that the kernel queues until they are accepted
PORTION = 64  # connections accepted between two polls; each takes a few microseconds
RETRY_SECONDS = 1  # as in asyncio
PROBE_HEADS = tuple(f"GET {path} ".encode() for path in PROBES)


def listeners(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`; `::` also accepts IPv4.

    Raises OSError where `host` has no address or one cannot be bound.
    """
    if host == "::":
        return [socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)]
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [
        socket.create_server(address, family=family, backlog=BACKLOG)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in addresses)
    ]


class Acceptor:
    """Creates a protocol with `factory` for each connection to a listening socket.

    It pauses for `retry_seconds` after an error such as too many open files.
    """

    def __init__(
        self,
        listener: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        turns: Turns,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._listener, self._factory, self._turns, self._retry_seconds = listener, factory, turns, retry_seconds
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        self._listen()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Stop listening; accepted connections stay open."""
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(PORTION):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._listener)
                self._loop.call_later(self._retry_seconds, self._listen)
                return
            connection.setblocking(False)
            if _is_probe(connection) or self._turns.claim():
                self._connect(connection)
            else:
                self._turns.enqueue(partial(self._connect, connection))

    def _connect(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as retrieved: the client may have closed the connection meanwhile


def _is_probe(connection: socket.socket) -> bool:
    try:
        return connection.recv(16, socket.MSG_PEEK).startswith(PROBE_HEADS)
    except OSError:  # no data yet, or the connection is reset
        return False
