"""The engine's thread waits for the event loop to send its tokens, but not for a loop that is busy or closed."""

import asyncio
import threading
import time

import pytest

from apps.lm.api.turn import LoopTurn

SECONDS = 30


@pytest.fixture
def loop():
    """An event loop that runs in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SECONDS)
    loop.close()


def test_readers_have_read_what_they_were_handed_before(loop):
    read = []

    async def reader(queue):
        while True:
            read.append(await queue.get())

    async def start():
        queue: asyncio.Queue[int] = asyncio.Queue()
        return queue, asyncio.create_task(reader(queue))

    queue, task = asyncio.run_coroutine_threadsafe(start(), loop).result(SECONDS)
    turn = LoopTurn(loop)
    for n in range(100):
        loop.call_soon_threadsafe(queue.put_nowait, n)
        turn()
        assert read == list(range(n + 1))
    loop.call_soon_threadsafe(task.cancel)


def test_a_busy_loop_delays_no_step(loop):
    release = threading.Event()
    loop.call_soon_threadsafe(release.wait, SECONDS)
    start = time.monotonic()
    LoopTurn(loop)()
    assert time.monotonic() - start < SECONDS / 2
    release.set()


def test_a_closed_loop_is_no_error():
    loop = asyncio.new_event_loop()
    loop.close()
    LoopTurn(loop)()
