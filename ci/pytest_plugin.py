"""A plugin of pytest for ci/check and ci/test: unit tests are quick, and stay so.

A test that takes much CPU and is not marked as long fails. CPU time, unlike time, grows little with the machine's
other work.
"""

import gc
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MAX_CPU_SECONDS = 2.0  # of a test and the processes that it waits for; most take a hundredth of this
LONG = ("slow", "service", "full")
MARK_OF_MODULE = re.compile(rf"^pytestmark = .*\bmark\.({'|'.join(LONG)})\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a module all of whose tests this run leaves out: importing it takes longer than the other tests."""
    if not collection_path.match("test_*.py"):
        return None
    marks = MARK_OF_MODULE.findall(collection_path.read_text(encoding="utf-8"))
    return any(f"not {mark}" in config.option.markexpr for mark in marks) or None


def pytest_collection_finish() -> None:
    """Exempt the imported modules from garbage collection: torch's alone cost a third of the CPU time of its tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if any(item.get_closest_marker(name) for name in LONG):
        return (yield)
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
