"""Accepts connections in small portions, health probes first.

A crowd that connects at once costs a transport each, and what each of them has sent is read at once: asyncio's own
server would do all of that before it looks at a probe's connection.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from apps.serving.context import PROBES
from apps.serving.turns import Turns

BACKLOG = 2048  # connections that the kernel keeps until they are accepted
PORTION = 64  # accepted between two looks at the other sockets; a few microseconds each
RETRY_SECONDS = 1  # after an error such as too many open files, as asyncio has it
PROBE_HEADS = tuple(f"GET {path} ".encode() for path in PROBES)


def listeners(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`; `::` takes IPv4 as well.

    Raises OSError where an address cannot be bound or `host` has none.
    """
    if host == "::":
        return [socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)]
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [
        socket.create_server(address, family=family, backlog=BACKLOG)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in addresses)
    ]


class Acceptor:
    """Gives each connection of a listening socket a protocol made by `factory`; `close` ends the listening."""

    def __init__(self, listener: socket.socket, factory: Callable[[], asyncio.Protocol], turns: Turns) -> None:
        self._listener, self._factory, self._turns = listener, factory, turns
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
        """Accept no more; who was accepted is served."""
        self._loop.remove_reader(self._listener)
        self._listener.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for: uvicorn counts the connections itself."""

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
                self._loop.call_later(RETRY_SECONDS, self._listen)
                return
            connection.setblocking(False)
            if _is_probe(connection) or self._turns.spare():
                self._connect(connection)
            else:
                self._turns.wait(partial(self._connect, connection))

    def _connect(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        if not task.cancelled():
            task.exception()  # the client has gone meanwhile


def _is_probe(connection: socket.socket) -> bool:
    try:
        return connection.recv(16, socket.MSG_PEEK).startswith(PROBE_HEADS)
    except OSError:  # nothing was sent yet, or the client has gone
        return False
