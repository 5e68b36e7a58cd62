"""A plugin of pytest for ci/check: fails a test that takes much CPU and is not marked `slow`.

CPU time, unlike time, grows little with the machine's other work.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

MAX_CPU_SECONDS = 2.0  # of a test and the processes that it waits for; most take a hundredth of this


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with bounded(MAX_CPU_SECONDS):
        return (yield)


@contextmanager
def bounded(cpu_seconds: float) -> Iterator[None]:
    """Fail the running test if the block takes more CPU time, child processes included."""
    before = _cpu_seconds()
    yield
    if (seconds := _cpu_seconds() - before) > cpu_seconds:
        problem = f"took {seconds:.1f} s of CPU, more than {cpu_seconds} s. Make it quicker, or mark it slow."
        pytest.fail(problem, pytrace=False)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
