"""Carries out a schedule: users send, each request is observed, and an interrupt ends it in order."""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from itertools import cycle

from loadgen.client import Client
from loadgen.observe import Clock, Run, watch_loop
from loadgen.schedule import ClosedLoop
from loadgen.targets import Sample, Target

SHOW_SECONDS = 1.0


async def carry_out(
    run: Run,
    target: Target,
    schedule: ClosedLoop,
    *,
    timeout_seconds: float,
    connection_seconds: float = math.inf,
    show: Callable[[Run], None] = lambda run: None,
) -> None:
    """Fills `run`, whose clock starts here, and calls `show` with it every second.

    The first interrupt (SIGINT or SIGTERM) sends nothing more and awaits what is under way; a second one
    drops that, which leaves `run.under_way` above 0. Both are told by `run.interrupted`.
    """
    run.clock = Clock()
    clients = [
        # The first renewals are spread over one connection's life, so that they never come all at once.
        Client(target, run.url, run.clock, timeout_seconds, connection_seconds, connection_seconds * turn)
        for turn in [(number + 1) / schedule.concurrency for number in range(schedule.concurrency)]
    ]
    samples = cycle(target.samples)
    users: list[asyncio.Task[None]] = []
    cpu_before = time.thread_time()
    async with asyncio.TaskGroup() as watchers:
        watching = [watchers.create_task(watch_loop(run.lags)), watchers.create_task(show_on(run, show))]
        with interrupts(run, users):
            async with asyncio.TaskGroup() as group:
                users += [group.create_task(use(client, samples, schedule, run)) for client in clients]
        run.elapsed_seconds = run.clock.now()
        run.cpu_seconds = time.thread_time() - cpu_before
        for task in watching:
            task.cancel()


async def use(client: Client, samples: Iterator[Sample], schedule: ClosedLoop, run: Run) -> None:
    unanswered = False
    try:
        while not run.interrupted and (due := schedule.next_start(run.clock.now(), unanswered)) is not None:
            if (wait := due - run.clock.now()) > 0:
                await asyncio.sleep(wait)
            run.under_way += 1
            seen, _ = await client.send(next(samples))
            run.under_way -= 1
            run.add(seen)
            unanswered = seen.status is None
    finally:
        await client.close()


async def show_on(run: Run, show: Callable[[Run], None]) -> None:
    while True:
        await asyncio.sleep(SHOW_SECONDS)
        show(run)


@contextlib.contextmanager
def interrupts(run: Run, users: list[asyncio.Task[None]]) -> Iterator[None]:
    def interrupt() -> None:
        if run.interrupted:
            for user in users:
                user.cancel()
        run.interrupted = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
