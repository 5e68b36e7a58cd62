"""Answers every POST with the same JSON, as cheaply as Python can; GET /count tells how many. argv: port."""

import asyncio
import sys

import uvloop

BODY = b'{"label":"4","probability":0.875,"model_version":"v1"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Served-By: pod-a\r\nContent-Length: %d\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY
count = 0


class Answers(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        global count
        if data.endswith(b"}"):  # the end of every body
            count += 1
            self.transport.write(ANSWER)  # type: ignore[attr-defined]  # uvloop's transports have no common type
        elif data.startswith(b"GET /count "):
            number = b"%d" % count
            self.transport.write(HEAD % len(number) + number)  # type: ignore[attr-defined]  # as above


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


uvloop.run(main())
