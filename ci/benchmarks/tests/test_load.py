"""The load generator of `ci/bench`, against a small server with prepared responses."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from ci.benchmarks.load import Connection, LoadResult, Request, Target, closed_loop, open_loop, post, responds

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server(asyncio.Protocol):
    """Sends `response(n)` to the nth request, byte by byte, as soon as `ready` returns."""

    def __init__(self, response: Callable[[int], bytes], numbers: Iterator[int], ready: Callable[[], Awaitable[None]]):
        self.response, self.numbers, self.ready = response, numbers, ready

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.task = asyncio.create_task(self.respond(self.response(next(self.numbers))))

    async def respond(self, content: bytes) -> None:
        await self.ready()
        for byte in content:
            self.transport.write(bytes([byte]))
        if b"close" in content:
            self.transport.close()


async def at_once() -> None:
    pass


def serve(response: Callable[[int], bytes], load: Callable[[int], Awaitable], ready=at_once):
    """Return the result of `load(port)` against a Server."""
    numbers = count()

    async def scenario():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: Server(response, numbers, ready), "127.0.0.1", 0) as server:
            result = await load(server.sockets[0].getsockname()[1])
        await asyncio.sleep(0.01)  # both ends of the connections are closed
        return result

    return asyncio.run(scenario())


def target(port: int) -> Target:
    return Target(port, [Request(post("/", {}), lambda body: body == b"ok")])


def test_a_closed_loop_keeps_as_many_requests_in_flight_as_it_has_connections():
    in_flight, peak = 0, 0
    responses = asyncio.Semaphore(0)

    async def ready() -> None:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        if in_flight == 4:  # a response is sent only while there are four requests
            responses.release()
        await responses.acquire()
        in_flight -= 1

    async def load(port: int) -> LoadResult:
        loop = asyncio.create_task(closed_loop(target(port), 4, 0.2))
        await asyncio.sleep(0.2)
        while not loop.done():  # no requests follow the last ones
            responses.release()
            await asyncio.sleep(0.01)
        return loop.result()

    result = serve(lambda n: OK, load, ready)
    assert peak == 4
    assert len(result.latencies) >= 4 and not result.failures
    assert result.rate == len(result.latencies) / result.seconds


def test_an_open_loop_sends_at_its_rate_without_waiting_for_responses():
    expected = 64  # arrivals at 100 a second within 0.6 s, with the generator's seed
    requests, last = 0, asyncio.Event()

    async def ready() -> None:
        nonlocal requests
        requests += 1
        if requests == expected:
            last.set()
        await last.wait()  # no response before the last request has come

    result = serve(lambda n: OK, lambda port: open_loop(target(port), 100, 0.6), ready)
    assert len(result.latencies) == requests == expected
    assert result.seconds > 0.5
    assert not result.failures


def test_only_correct_responses_count_and_failures_are_counted_by_cause():
    wrong = {
        1: OK.replace(b"ok", b"no"),
        2: OK.replace(b"200 OK", b"503 X"),
        3: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n",
    }

    async def load(port: int) -> LoadResult:
        server, result, connection = target(port), LoadResult(), Connection(port)
        for _ in range(5):
            await server.send(connection, result)
        connection.close()
        return result

    result = serve(lambda n: wrong.get(n, OK), load)
    assert len(result.latencies) == 2
    assert result.failures == {"wrong answer": 1, "status 503": 1, "ConnectionResetError": 1}


def test_a_chunked_response_is_read_to_its_end():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    async def load(port: int):
        connection = Connection(port)
        response = await connection.send(post("/", {}))
        connection.close()
        return response

    assert serve(lambda n: chunked, load) == (200, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_percentiles_are_by_nearest_rank():
    result = LoadResult(1.0, [0.3, 0.1, 0.2])
    assert [result.percentile(percent) for percent in (1, 50, 99)] == [0.1, 0.2, 0.3]
    assert LoadResult().percentile(50) == math.inf


def test_a_port_without_a_server_does_not_respond():
    assert not responds(target(1))
