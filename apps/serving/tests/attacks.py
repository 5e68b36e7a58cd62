"""What a hostile client does to a service, as data: a request, how it is sent, and how often at once.

`python -m apps.serving.tests.attacks classifier "4,000 idle connections" --url http://127.0.0.1:8000` runs one until it
is told to end, and then prints how often each status came. It attacks this machine and no other.
"""

import argparse
import asyncio
import importlib
import json
import signal
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from urllib.parse import urlsplit

PIECE = 65_536
PAUSE = 0.1  # seconds, of a client who leaves; also after a connection that is refused


def head(path: str, media_type: str = "application/json", **headers: object) -> bytes:
    """The head of a POST; keywords are headers, `_` stands for `-`."""
    return _head("POST", path, Content_Type=media_type, **headers)


def get(path: str, **headers: object) -> bytes:
    """A GET."""
    return _head("GET", path, **headers)


def post(path: str, body: bytes, media_type: str = "application/json", **headers: object) -> bytes:
    """A whole request."""
    return head(path, media_type, Content_Length=len(body), **headers) + body


def chunked(path: str) -> bytes:
    """The head of a request whose body comes in chunks."""
    return head(path, Transfer_Encoding="chunked")


class Client:
    """One client's means: connections to the service, and the tally of all."""

    def __init__(self, host: str, port: int, tally: Counter) -> None:
        self._address, self.tally = (host, port), tally
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()

    async def connect(self) -> None:
        """Connect anew; a buffer of a few KB lets nothing of an answer be taken but by reading it."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        await self._loop.sock_connect(self._socket, self._address)
        self.tally["connections"] += 1

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self._socket, data)
        self.tally["megabytes"] += len(data) / 1e6

    async def read(self) -> None:
        """Read an answer to the end of the connection, and count its status."""
        answer = await self._loop.sock_recv(self._socket, PIECE)
        self.tally[answer[9:12].decode() or "closed"] += 1
        while await self._loop.sock_recv(self._socket, PIECE):
            pass

    def reset(self) -> None:
        """Leave without a goodbye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._socket.close()


Manner = Callable[[Client, bytes], Awaitable[None]]


async def answered(client: Client, request: bytes) -> None:
    """Send it and read the answer, as everyone does."""
    await client.send(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    await client.read()


async def unfinished(client: Client, request: bytes) -> None:
    """Keep the last byte back, for as long as the service waits for it."""
    await client.send(request[:-1])
    await client.read()


async def silent(client: Client, request: bytes) -> None:
    """Say no more than the request, and wait for what comes."""
    await client.send(request)
    await client.read()


async def unread(client: Client, request: bytes) -> None:
    """Ask again and again on one connection, and read no answer."""
    while True:
        await client.send(request)


async def abandoned(client: Client, request: bytes) -> None:
    """Leave as soon as it is sent, ten times a second."""
    await client.send(request)
    client.reset()
    await asyncio.sleep(PAUSE)


def endless(piece: bytes) -> Manner:
    """After the request, send `piece` for as long as the service takes it."""
    repeated = piece * max(1, PIECE // len(piece))

    async def manner(client: Client, request: bytes) -> None:
        await client.send(request)
        while True:
            await client.send(repeated)

    return manner


@dataclass(frozen=True)
class Attack:
    """`request` are the bytes, or makes them where that takes a while. `manner` is what one client does with them, over
    and over."""

    name: str
    request: bytes | Callable[[], bytes]
    manner: Manner = answered
    clients: int = 8
    fills: bool = False  # the service's bounds: an honest client may be told 503 and when to try again


def attacks_of(app: str) -> ModuleType:
    """The module that says what is sent to a service, `classifier` or `lm`, and how it is started."""
    return importlib.import_module(f"apps.{app}.tests.attacks")


async def run(attack: Attack, clients: int, url: str) -> Counter:
    """Attack until SIGTERM; return how many of each status came, of connections and of megabytes sent."""
    request = attack.request if isinstance(attack.request, bytes) else attack.request()
    tally, ended = Counter(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    host, port = urlsplit(url).hostname, urlsplit(url).port
    print("begun", flush=True)
    tasks = [asyncio.create_task(_client(attack, request, Client(host, port, tally))) for _ in range(clients)]
    await ended.wait()
    for task in tasks:
        task.cancel()
    return tally


def _head(method: str, path: str, **headers: object) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: attack"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode()


async def _client(attack: Attack, request: bytes, client: Client) -> None:
    while True:
        try:
            await client.connect()
            await attack.manner(client, request)
        except OSError as error:
            client.tally[type(error).__name__] += 1
            await asyncio.sleep(PAUSE)
        finally:
            client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", choices=["classifier", "lm"])
    parser.add_argument("attack", help="a name of the table")
    parser.add_argument("--clients", type=int, help="how many at once; as the table says by default")
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    if urlsplit(options.url).hostname != "127.0.0.1":
        parser.error(f"--url {options.url} is not on 127.0.0.1, and only this machine may be attacked")
    (attack,) = [attack for attack in attacks_of(options.app).ATTACKS if attack.name == options.attack]
    tally = asyncio.run(run(attack, options.clients or attack.clients, options.url))
    print(json.dumps(tally))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
