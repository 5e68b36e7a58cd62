"""Attacks of hostile clients as data: the request, how each client sends it, and how many clients there are.

`python -m apps.serving.tests.attacks classifier "4,000 idle connections" --url http://127.0.0.1:8000` runs one attack
until SIGTERM, and then prints how many responses had each status. It attacks only this machine.
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
PAUSE = 0.1  # seconds between two attempts of a client that resets its connections or is refused


def head(path: str, media_type: str = "application/json", **headers: object) -> bytes:
    """Return the head of a POST; keywords are headers, with `_` for `-`."""
    return _head("POST", path, Content_Type=media_type, **headers)


def get(path: str, **headers: object) -> bytes:
    """Return a GET request."""
    return _head("GET", path, **headers)


def post(path: str, body: bytes, media_type: str = "application/json", **headers: object) -> bytes:
    """Return a complete POST request."""
    return head(path, media_type, Content_Length=len(body), **headers) + body


def chunked(path: str) -> bytes:
    """Return the head of a POST whose body is sent in chunks."""
    return head(path, Transfer_Encoding="chunked")


class Client:
    """One client's connections to the service; all clients share the tally."""

    def __init__(self, host: str, port: int, tally: Counter[str]) -> None:
        self._address, self.tally = (host, port), tally
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()

    async def connect(self) -> None:
        """Open a connection with a small receive buffer, so that unread responses stay with the service."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        await self._loop.sock_connect(self._socket, self._address)
        self.tally["connections"] += 1

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self._socket, data)
        self.tally["bytes"] += len(data)

    async def read(self) -> None:
        """Read a response to the end of the connection, and count its status."""
        answer = await self._loop.sock_recv(self._socket, PIECE)
        self.tally[answer[9:12].decode() or "closed"] += 1
        while await self._loop.sock_recv(self._socket, PIECE):
            pass

    def reset(self) -> None:
        """Reset the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


Manner = Callable[[Client, bytes], Awaitable[None]]


async def answered(client: Client, request: bytes) -> None:
    """Send the request and read the response, as honest clients do."""
    await client.send(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    await client.read()


async def unfinished(client: Client, request: bytes) -> None:
    """Withhold the last byte for as long as the service waits for it."""
    await client.send(request[:-1])
    await client.read()


async def silent(client: Client, request: bytes) -> None:
    """Send the request and nothing more, and wait for a response or the end of the connection."""
    await client.send(request)
    await client.read()


async def unread(client: Client, request: bytes) -> None:
    """Send requests on one connection without end, and read no response."""
    while True:
        await client.send(request)


async def abandoned(client: Client, request: bytes) -> None:
    """Reset the connection as soon as the request is sent, ten times a second."""
    await client.send(request)
    client.reset()
    await asyncio.sleep(PAUSE)


def endless(piece: bytes) -> Manner:
    """Return a manner that sends `piece` after the request for as long as the service accepts it."""
    repeated = piece * max(1, PIECE // len(piece))

    async def manner(client: Client, request: bytes) -> None:
        await client.send(request)
        while True:
            await client.send(repeated)

    return manner


@dataclass(frozen=True)
class Attack:
    """Each of the `clients` repeats `manner` with `request`: bytes, or a function where making them takes a while."""

    name: str
    request: bytes | Callable[[], bytes]
    manner: Manner = answered
    clients: int = 8
    fills: bool = False  # exhausts a bound of the service, so that honest clients may get a 503 with Retry-After


def attacks_of(app: str) -> ModuleType:
    """Return the module with the attacks on `classifier` or `lm`, and with the settings to start it."""
    return importlib.import_module(f"apps.{app}.tests.attacks")


async def run(attack: Attack, clients: int, host: str, port: int) -> Counter[str]:
    """Attack until SIGTERM; return how many responses had each status, and connections and bytes sent."""
    request = attack.request if isinstance(attack.request, bytes) else attack.request()
    tally: Counter[str] = Counter()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
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
    parser.add_argument("attack", help="a name in ATTACKS")
    parser.add_argument("--clients", type=int, help="how many at once; default: the attack's own number")
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    address = urlsplit(options.url)
    if address.hostname != "127.0.0.1":
        parser.error(f"--url {options.url} is not on 127.0.0.1, and only this machine may be attacked")
    (attack,) = [attack for attack in attacks_of(options.app).ATTACKS if attack.name == options.attack]
    tally = asyncio.run(run(attack, options.clients or attack.clients, address.hostname, address.port or 80))
    megabytes = tally.pop("bytes", 0) / 1e6
    print(json.dumps({**tally, "megabytes": megabytes}))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
