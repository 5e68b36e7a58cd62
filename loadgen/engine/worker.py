"""One process of the engine: `python -m loadgen.engine.worker`, started by `loadgen.engine.run`.

Standard input brings the length of the pickled Share (8 bytes) and the Share, then the lines "start TIME", "stop" and
"cut", which may be there before the worker is; its end ends the worker.
Standard output carries one JSON object a line: {"ready"}, {"tick": a row of TICK}, {"problem"}, {"ended"}.
"""

import asyncio
import contextlib
import gc
import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from loadgen.client import tls
from loadgen.client.endpoint import endpoint, requests
from loadgen.client.exchange import Exchange
from loadgen.client.pool import Pool
from loadgen.engine import limits
from loadgen.engine.loops import ClosedLoop, Loop, OpenLoop
from loadgen.engine.pacing import alarm
from loadgen.engine.plan import Plan
from loadgen.engine.writer import Writer
from loadgen.targets.outcome import Outcome


@dataclass(frozen=True)
class Share:
    """A worker's part of a plan, with its own arrivals, concurrency and max_in_flight; `number` of `count`."""

    plan: Plan
    folder: Path
    number: int
    count: int


class Worker:
    """Sends a share of the load. `tell` sends an object to the parent."""

    def __init__(
        self, share: Share, start: float, prepared: list[bytes], tell: Callable[[dict[str, Any]], None]
    ) -> None:
        plan = share.plan
        self._share, self._start, self._tell = share, start, tell
        self._samples, self._prepared, self._sample = plan.target.samples, prepared, share.number
        self._writer = Writer(share.folder, share.number)
        to = endpoint(plan.url, plan.target.path)
        self._pool = Pool(
            plan.target,
            to,
            self._now,
            self._ended,
            timeout_seconds=plan.timeout_seconds,
            connections=plan.connections,
            tls=tls.context(plan.ca, plan.insecure) if to.secure else None,
            seed=plan.seed + share.number,
        )
        self._loop = self._loop_of(plan)
        self._done = asyncio.Event()
        self._second, self._ticked, self._cpu = 0, start, process_time()
        self._problem = False
        self.stopped_at: float | None = None  # when the sending ended; None before that

    async def run(self) -> None:
        self._loop.run()
        end = alarm(self._finish)
        end.set(self._start + self._share.plan.seconds)
        ticking = asyncio.create_task(self._tick())
        await self._done.wait()
        ticking.cancel()
        end.close()
        self._report()
        self._pool.close()
        self._writer.close()

    def stop(self) -> None:
        """Send nothing more that is not yet due; await the answers."""
        self._end_sending(self._now())
        self._loop.stop()
        self._check()

    def cut(self) -> None:
        """End at once."""
        self._end_sending(self._now())
        self._give_up(self._loop.abandon(), Outcome.INTERRUPTED, "interrupted")
        self._pool.cut_off()
        self._check()

    def _give_up(self, unsent: list[Exchange], outcome: Outcome, detail: str) -> None:
        for exchange in unsent:
            exchange.end, exchange.outcome, exchange.detail = self._now(), outcome, detail
            self._writer.add(exchange)

    def _finish(self) -> None:
        self._end_sending(self._share.plan.seconds)
        self._loop.finish()
        self._check()

    def _end_sending(self, seconds: float) -> None:
        if self.stopped_at is None:
            self.stopped_at = seconds

    def _loop_of(self, plan: Plan) -> Loop:
        if plan.arrivals is None:
            users, obeys = plan.concurrency, plan.obey_retry_after
            return ClosedLoop(self._pool, self._new, self._start, users, plan.seconds, obeys)
        most = plan.concurrency, plan.max_in_flight
        return OpenLoop(self._pool, self._new, self._start, plan.arrivals, *most, self._writer.add)

    def _now(self) -> float:
        return monotonic() - self._start

    def _new(self, intended: float) -> Exchange:
        """Return the next request; all workers together send the samples in turn."""
        number = self._sample % len(self._prepared)
        self._sample += self._share.count
        return Exchange(self._prepared[number], self._samples[number], intended)

    def _ended(self, exchange: Exchange) -> None:
        self._writer.add(exchange)
        self._loop.ended(exchange)
        if self.stopped_at is not None:
            self._check()

    def _check(self) -> None:
        ended = self.stopped_at is not None and not self._loop.sending
        if ended and not self._loop.waiting and not len(self._pool):
            self._done.set()

    async def _tick(self) -> None:
        while True:
            boundary = self._start + self._second + 1
            while (wait := boundary - monotonic()) > 0:
                await asyncio.sleep(wait)
            expired = self._loop.expired(self._share.plan.timeout_seconds)
            self._give_up(expired, Outcome.TIMEOUT, "no free connection in time")
            self._report()
            self._check()
            self._second = max(self._second + 1, int(self._now()))

    def _report(self) -> None:
        self._writer.flush()
        now, cpu, loop = monotonic(), process_time(), self._loop
        row = [self._share.number, self._second, self._writer.written, cpu - self._cpu, now - self._ticked]
        self._tell({"tick": [*row, len(self._pool), len(loop.waiting), loop.due, loop.started, loop.dropped]})
        self._ticked, self._cpu = now, cpu
        if self._writer.problem and not self._problem:
            self._problem = True
            self._tell({"problem": f"the records cannot be written: {self._writer.problem}"})


async def serve(share: Share, prepared: list[bytes]) -> None:
    """Await the start, run, and obey the parent's lines."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    tell({"ready": share.number})
    if not (line := await commands.readline()).startswith(b"start "):
        return
    worker = Worker(share, float(line.split()[1]), prepared, tell)
    running = asyncio.create_task(worker.run())
    reading = asyncio.create_task(obey(commands, worker))
    await running
    reading.cancel()
    tell({"ended": {"cpu_seconds": process_time(), "sending_seconds": worker.stopped_at}})


async def obey(commands: asyncio.StreamReader, worker: Worker) -> None:
    while line := await commands.readline():
        {b"stop\n": worker.stop, b"cut\n": worker.cut}[line]()
    worker.cut()  # the parent has ended


def tell(message: dict[str, Any]) -> None:
    """Write a line to the parent. A line below 4 KiB is written whole or, if the parent reads nothing, not at all."""
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(1, json.dumps(message).encode() + b"\n")


def read_exactly(count: int) -> bytearray:
    """Read so many bytes of standard input, and none of the lines behind them, as a buffered reader would."""
    data = bytearray()
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            raise SystemExit("the parent has ended")
        data += part
    return data


def main() -> None:
    share: Share = pickle.loads(read_exactly(int.from_bytes(read_exactly(8))))
    os.set_blocking(1, False)
    limits.raise_open_files()
    plan = share.plan
    fresh = plan.connections == "fresh"
    prepared = requests(plan.target, endpoint(plan.url, plan.target.path), plan.headers, close=fresh)
    gc.collect()
    gc.freeze()  # what lives until the end need not be looked at again
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(share, prepared))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
