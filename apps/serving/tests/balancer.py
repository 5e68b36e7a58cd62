"""A stand-in for kube-proxy: each new connection goes to the next backend, and stays there."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count


class Balancer:
    """Balances over `ports`, which may change while it runs; open connections stay where they are."""

    def __init__(self, ports: list[int]) -> None:
        self.ports, self.port, self._numbers = ports, 0, count()
        self._listening = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        """Listen on a free port, which is then in `port`."""
        self._thread.start()
        assert self._listening.wait(10)

    def stop(self) -> None:
        """Close all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._listening.set()
            await self._stop.wait()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.ports[next(self._numbers) % len(self.ports)]
        answers, requests = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, requests}
        await asyncio.gather(_pump(reader, requests), _pump(answers, writer))
        self._writers -= {writer, requests}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def balancing(*ports: int) -> Iterator[Balancer]:
    """Run a balancer in a thread of its own."""
    balancer = Balancer(list(ports))
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.stop()
