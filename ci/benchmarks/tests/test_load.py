"""The load of `ci/bench`, against a small server that answers as told."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import pytest

from ci.benchmarks.load import Connection, Measured, Request, Target, answers, closed_loop, open_loop, post

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Answers(asyncio.Protocol):
    """Sends `answer(n)` to the nth request, `delay` seconds late, in as many pieces as it has bytes."""

    def __init__(self, answer: Callable[[int], bytes], numbers: Iterator[int], delay: float) -> None:
        self.answer, self.numbers, self.delay = answer, numbers, delay

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self.delay, self.send, self.answer(next(self.numbers)))

    def send(self, content: bytes) -> None:
        for byte in content:
            self.transport.write(bytes([byte]))
        if b"close" in content:
            self.transport.close()


def against(answer: Callable[[int], bytes], load: Callable[[int], Awaitable], delay: float = 0.0):
    """Return what `load(port)` gives."""
    numbers = count()

    async def scenario():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: Answers(answer, numbers, delay), "127.0.0.1", 0) as server:
            result = await load(server.sockets[0].getsockname()[1])
        await asyncio.sleep(0.01)  # both ends of the connections are closed
        return result

    return asyncio.run(scenario())


def target(port: int) -> Target:
    return Target(port, [Request(post("/", {}), lambda body: body == b"ok")])


def test_a_closed_loop_has_as_many_requests_under_way_as_connections():
    measured = against(lambda n: OK, lambda port: closed_loop(target(port), 4, 0.5), delay=0.05)
    assert measured.rate == pytest.approx(4 / 0.05, rel=0.3)
    assert 0.05 <= measured.percentile(50) < 0.08
    assert not measured.failures


def test_an_open_loop_sends_at_its_rate_however_slow_the_answers_are():
    measured = against(lambda n: OK, lambda port: open_loop(target(port), 100, 0.6), delay=0.4)
    assert len(measured.latencies) == pytest.approx(60, rel=0.4)
    assert 0.4 <= measured.percentile(99) < 0.5


def test_only_right_answers_count_and_failures_are_counted_by_kind():
    wrong = {
        1: OK.replace(b"ok", b"no"),
        2: OK.replace(b"200 OK", b"503 X"),
        3: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n",
    }

    async def load(port: int) -> Measured:
        asked, measured, connection = target(port), Measured(), Connection(port)
        for _ in range(5):
            await asked.ask(connection, measured)
        connection.close()
        return measured

    measured = against(lambda n: wrong.get(n, OK), load)
    assert len(measured.latencies) == 2
    assert measured.failures == {"wrong answer": 1, "status 503": 1, "ConnectionResetError": 1}


def test_an_answer_in_chunks_is_whole():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    async def load(port: int):
        connection = Connection(port)
        answer = await connection.send(post("/", {}))
        connection.close()
        return answer

    assert against(lambda n: chunked, load) == (200, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_percentiles_are_by_nearest_rank():
    measured = Measured(1.0, [0.3, 0.1, 0.2])
    assert [measured.percentile(percent) for percent in (1, 50, 99)] == [0.1, 0.2, 0.3]
    assert Measured().percentile(50) == math.inf


def test_a_port_where_nobody_listens_does_not_answer():
    assert not answers(target(1))
