"""Admission bounds how many requests compute and wait, in order of arrival."""

import asyncio

import pytest

from apps.serving.admission import Admission
from apps.serving.problems import Problem


async def hold(
    admission: Admission, order: list, name: str, release: asyncio.Event, size: int = 1, **options: bool
) -> None:
    async with admission.place(size, **options):
        order.append(name)
        await release.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_requests_are_admitted_in_order_of_arrival_and_never_beyond_the_limit():
    async def scenario():
        admission, order = Admission(2, 10), list[str]()
        releases = {name: asyncio.Event() for name in "abcd"}
        tasks = {name: asyncio.create_task(hold(admission, order, name, releases[name])) for name in "abcd"}
        await settle()
        assert (order, admission.in_flight, admission.waiting) == (["a", "b"], 2, 2)
        releases["b"].set()
        await settle()
        assert order == ["a", "b", "c"]
        for release in releases.values():
            release.set()
        await asyncio.gather(*tasks.values())
        assert (order, admission.in_flight, admission.waiting) == (["a", "b", "c", "d"], 0, 0)

    asyncio.run(scenario())


def test_a_request_beyond_the_queue_is_refused_at_once_with_retry_after():
    async def scenario():
        admission, release = Admission(1, 1), asyncio.Event()
        tasks = [asyncio.create_task(hold(admission, [], name, release)) for name in "ab"]
        await settle()
        with pytest.raises(Problem) as error:
            async with asyncio.timeout(5), admission.place():
                raise AssertionError("admitted")
        assert error.value.status == 503
        assert 1 <= int(error.value.headers["Retry-After"]) <= 60
        assert "1 requests are being computed and 1 wait" in error.value.detail
        release.set()
        await asyncio.gather(*tasks)
        async with admission.place():
            assert admission.in_flight == 1

    asyncio.run(scenario())


def test_more_work_of_a_request_that_computes_is_queued_even_when_the_queue_is_full():
    async def scenario():
        admission, order, release = Admission(1, 0), list[str](), asyncio.Event()
        first = asyncio.create_task(hold(admission, order, "a", release))
        await settle()
        more = asyncio.create_task(hold(admission, order, "b", release, queued=True))
        await settle()
        assert (order, admission.waiting) == (["a"], 1)
        release.set()
        await asyncio.gather(first, more)
        assert order == ["a", "b"]

    asyncio.run(scenario())


def test_a_request_cancelled_while_waiting_frees_its_place_in_the_queue_and_is_never_admitted():
    async def scenario():
        admission, order, release = Admission(1, 1), list[str](), asyncio.Event()
        first = asyncio.create_task(hold(admission, order, "first", release))
        cancelled = asyncio.create_task(hold(admission, order, "cancelled", release))
        await settle()
        cancelled.cancel()
        await settle()
        assert admission.waiting == 0
        last = asyncio.create_task(hold(admission, order, "last", release))
        await settle()
        release.set()
        await asyncio.gather(first, last)
        assert order == ["first", "last"]

    asyncio.run(scenario())


def test_retry_after_grows_with_the_number_of_waiting_requests():
    async def scenario():
        admission, release = Admission(1, 100), asyncio.Event()
        admission.seconds = 2.0
        tasks = [asyncio.create_task(hold(admission, [], "", release)) for _ in range(10)]
        await settle()
        header = admission.retry_after["Retry-After"]
        release.set()
        await asyncio.gather(*tasks)
        return int(header)

    assert asyncio.run(scenario()) == 20


def test_sizes_add_up_to_at_most_the_capacity_and_no_request_is_overtaken():
    async def scenario():
        admission, order = Admission(10, 10, capacity=100), list[str]()
        sizes = {"a": 60, "b": 50, "c": 10, "d": 30}
        releases = {name: asyncio.Event() for name in sizes}
        tasks = [
            asyncio.create_task(hold(admission, order, name, releases[name], size)) for name, size in sizes.items()
        ]
        await settle()
        assert (order, admission.held, admission.waiting) == (["a"], 60, 3), "c fits and waits behind b"
        assert admission.saturation == 1.5
        releases["a"].set()
        await settle()
        assert (order, admission.held) == (["a", "b", "c", "d"], 90)
        for release in releases.values():
            release.set()
        await asyncio.gather(*tasks)
        assert (admission.held, admission.saturation) == (0, 0)

    asyncio.run(scenario())


def test_cancelling_a_large_waiting_request_admits_the_small_ones_behind_it():
    async def scenario():
        admission, order, release = Admission(10, 10, capacity=100), list[str](), asyncio.Event()
        tasks = [asyncio.create_task(hold(admission, order, "first", release, 50))]
        large = asyncio.create_task(hold(admission, order, "large", release, 90))
        tasks.append(asyncio.create_task(hold(admission, order, "small", release, 50)))
        await settle()
        assert order == ["first"]
        large.cancel()
        await settle()
        assert (order, admission.held) == (["first", "small"], 100)
        release.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
