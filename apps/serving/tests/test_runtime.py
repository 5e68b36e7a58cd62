"""Deadlines, closed connections and admission, through the endpoints of a toy service."""

import asyncio
import logging
import time

import httpx
import pytest

from apps.serving.context import KEY, RequestContext


async def until(condition, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def post(client, seconds: float):
    return client.post("/sleep", json={"seconds": seconds})


def test_a_request_that_computes_too_long_gets_504_and_its_work_is_cancelled(toy):
    async def scenario():
        client, runtime = await toy(request_timeout_seconds=0.1)
        async with client:
            begun = time.monotonic()
            answer = await post(client, 5)
            assert (answer.status_code, answer.json()["status"]) == (504, 504)
            assert "REQUEST_TIMEOUT_SECONDS" in answer.json()["detail"]
            await until(lambda: runtime.admission.in_flight == 0)
            assert time.monotonic() - begun < 2
            assert runtime.service.cancelled == 1

    asyncio.run(scenario())


def test_the_deadline_counts_from_the_headers_and_not_from_the_start_of_the_application(toy, caplog):
    caplog.set_level(logging.INFO)

    async def scenario():
        client, _ = await toy(request_timeout_seconds=30)
        app = client._transport.app

        async def delayed(scope, receive, send):
            await app(scope | {"state": {KEY: RequestContext(time.monotonic() - 40)}}, receive, send)

        async with client, httpx.AsyncClient(transport=httpx.ASGITransport(delayed), base_url="http://toy") as late:
            assert (await post(late, 0)).status_code == 504
            assert (await post(client, 0)).status_code == 200

    asyncio.run(scenario())
    seconds = [record.latency_seconds for record in caplog.records if record.name == "serving.access"]
    assert seconds[0] >= 40 > 5 > seconds[1]


@pytest.mark.slow
def test_a_request_whose_deadline_passes_in_the_queue_is_never_computed(toy):
    async def scenario():
        client, runtime = await toy(request_timeout_seconds=0.3, max_in_flight=1)
        computed = []

        def stubborn(work, seconds):
            computed.append(seconds)
            time.sleep(seconds)

        runtime.service.sleep = stubborn
        async with client:
            first, second = await asyncio.gather(post(client, 0.8), post(client, 0))
            assert (first.status_code, second.status_code) == (504, 504)
            await until(lambda: runtime.admission.in_flight == runtime.admission.waiting == 0)
            assert computed == [0.8]

    asyncio.run(scenario())


def test_requests_beyond_the_queue_are_refused_at_once_while_the_others_are_answered(toy):
    async def scenario():
        client, _ = await toy(max_in_flight=1, max_queue=2)
        async with client:
            answers = await asyncio.gather(*(post(client, 0.1) for _ in range(6)))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [200, 200, 200, 503, 503, 503]
            assert all(int(a.headers["retry-after"]) >= 1 for a in answers if a.status_code == 503)

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("waiting", [False, True], ids=["computing", "waiting"])
def test_a_client_that_closes_frees_its_place(toy, waiting):
    async def scenario():
        client, runtime = await toy(max_in_flight=1)
        async with client:
            before = [asyncio.create_task(post(client, 0.5))] if waiting else []
            await until(lambda: runtime.admission.in_flight == len(before))
            status = await post_and_close(client)
            counts = runtime.admission
            await until(lambda: (counts.in_flight, counts.waiting) == (len(before), 0), 2)
            assert status == 499
            assert [answer.status_code for answer in await asyncio.gather(*before)] == [200] * len(before)
            assert runtime.service.cancelled == (0 if waiting else 1)

    asyncio.run(scenario())


async def post_and_close(client) -> int:
    """Request five seconds of computing and close at once; return the status of the response."""
    app, sent = client._transport.app, []
    messages = iter(
        [{"type": "http.request", "body": b'{"seconds": 5}', "more_body": False}, {"type": "http.disconnect"}]
    )

    async def receive():
        await asyncio.sleep(0.05)
        return next(messages)

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/sleep", "headers": headers, "query_string": b""}
    await app({**scope, "root_path": "", "http_version": "1.1"}, receive, send)
    return sent[0]["status"]


def test_a_place_is_held_until_its_function_has_returned(toy):
    async def scenario():
        client, runtime = await toy(request_timeout_seconds=0.1, max_in_flight=1)
        ended = []

        def stubborn(work, seconds):
            time.sleep(0.4)
            ended.append(seconds)

        runtime.service.sleep = stubborn
        async with client:
            answer = await post(client, 5)
            assert answer.status_code == 504
            await until(lambda: runtime.admission.in_flight == 0)
            assert ended, "otherwise the next request would compute at the same time"

    asyncio.run(scenario())
