"""Carries out a schedule: users send requests, each is observed, and an interrupt ends the run cleanly."""

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
    """Fill `run`, whose clock starts here, and call `show` with it every second.

    After an interrupt (SIGINT or SIGTERM) no request is sent, and those under way are awaited; a second interrupt
    cancels them, which leaves `run.under_way` above 0. Both set `run.interrupted`.
    """
    run.clock = Clock()
    clients = [
        # The users' first reconnections are spread over one connection lifetime.
        Client(target, run.url, run.clock, timeout_seconds, connection_seconds, connection_seconds * share)
        for share in [(number + 1) / schedule.concurrency for number in range(schedule.concurrency)]
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
            observation, _ = await client.send(next(samples))
            run.under_way -= 1
            run.add(observation)
            unanswered = observation.status is None
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
