"""Sends single requests, outside of a run."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from loadgen.client import tls
from loadgen.client.endpoint import endpoint, requests
from loadgen.client.exchange import Exchange
from loadgen.client.pool import Pool
from loadgen.targets.target import Target


async def ask(
    target: Target,
    url: str,
    timeout_seconds: float = 30.0,
    headers: Sequence[tuple[str, str]] = (),
    ca: Path | None = None,
    insecure: bool = False,
) -> list[Exchange]:
    """Send all samples of a target at once; return their exchanges, in the same order, when all have ended.

    Their times are seconds since the call.
    """
    start, loop = time.monotonic(), asyncio.get_running_loop()
    ends: dict[Exchange, asyncio.Future[None]] = {}
    to = endpoint(url, target.path)
    pool = Pool(
        target,
        to,
        lambda: time.monotonic() - start,
        lambda exchange: ends[exchange].set_result(None),
        timeout_seconds=timeout_seconds,
        connections="fresh",
        tls=tls.context(ca, insecure) if to.secure else None,
    )
    for request, sample in zip(requests(target, to, headers, close=True), target.samples, strict=True):
        exchange = Exchange(request, sample, 0.0)
        ends[exchange] = loop.create_future()
        pool.send(exchange)
    await asyncio.gather(*ends.values())
    pool.close()
    return list(ends)
