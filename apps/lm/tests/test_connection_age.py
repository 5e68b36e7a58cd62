"""Clients that keep their connections reach a new pod soon, without an error."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import pytest

from apps.lm.tests import tiny
from apps.lm.tests.process import SECONDS, starting
from apps.serving.tests.balancer import balancing
from apps.serving.tests.processes import Process

pytestmark = pytest.mark.service
AGE, CLIENTS, FAIR = 1.0, 16, 0.5  # FAIR: the share of one of two pods
BODY = {"prompt": "the quick", "max_new_tokens": 1}
Send = Callable[[], Awaitable[object]]


async def with_aiohttp(url: str, load: Callable[[Send], Awaitable[float]]) -> float:
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def send() -> None:
            async with session.post(f"{url}/generate", json=BODY) as answer:
                await answer.read()

        return await load(send)


async def with_httpx(url: str, load: Callable[[Send], Awaitable[float]]) -> float:
    async with httpx.AsyncClient(timeout=30) as client:

        async def send() -> None:
            (await client.post(f"{url}/generate", json=BODY)).raise_for_status()

        return await load(send)


async def with_openai(url: str, load: Callable[[Send], Awaitable[float]]) -> float:
    import openai  # it takes a second, which ci/check saves

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

        async def send() -> None:
            await client.completions.create(model="tiny-gpt2", prompt="the quick", max_tokens=1, temperature=0)

        return await load(send)


@pytest.fixture(scope="module")
def pods(folders):
    settings = {"model_name": folders["gpt2"], "max_total_tokens": tiny.CONTEXT, "connection_max_age_seconds": AGE}
    with starting(**settings) as old, starting(**settings) as new:
        for pod in (old, new):
            pod.expect("ready", SECONDS)
        yield old, new


def served(pod: Process) -> int:
    return httpx.get(f"{pod.url}/metrics-simple").json()["requests"]


@pytest.mark.parametrize("client", [with_aiohttp, with_httpx, with_openai])
def test_a_new_pod_gets_its_share_of_requests_from_clients_that_keep_their_connections(pods, client):
    old, new = pods

    async def load(send: Send) -> float:
        """Return the new pod's share of the requests, measured from twice AGE after it was added."""
        measured = asyncio.Event()

        async def keep_sending() -> None:
            while not measured.is_set():
                await send()

        async def measure() -> float:
            await asyncio.sleep(AGE / 2)  # until connections are open and kept
            balancer.ports.append(new.port)
            await asyncio.sleep(2 * AGE)
            before = [await asyncio.to_thread(served, pod) for pod in pods]
            await asyncio.sleep(AGE)
            counts = [await asyncio.to_thread(served, pod) - first for pod, first in zip(pods, before, strict=True)]
            measured.set()
            return counts[1] / sum(counts)

        async with asyncio.TaskGroup() as tasks:
            share = tasks.create_task(measure())
            for _ in range(CLIENTS):
                tasks.create_task(keep_sending())
        return share.result()

    with balancing(old.port) as balancer:
        begun = time.monotonic()
        share = asyncio.run(client(f"http://127.0.0.1:{balancer.port}", load))
        assert time.monotonic() - begun < 30
    assert share >= 0.8 * FAIR
