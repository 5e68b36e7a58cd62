"""A server is pinned to its core, measured with all its processes, and ended."""

import os
import sys

import pytest

from ci.benchmarks.process import Server, core_seconds, reserved_core
from ci.run import Failed

PROGRAM = """
import multiprocessing, os, time
def burn():
    content = bytearray(50_000_000)
    content[::1024] = b"x" * len(content[::1024])
    start = time.process_time()
    while time.process_time() - start < 0.3: pass
    open("ready", "w").close()
    time.sleep(60)
multiprocessing.get_context("fork").Process(target=burn).start()
print(os.sched_getaffinity(0), flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    core = min(os.sched_getaffinity(0))
    return core, lambda program: Server(
        [sys.executable, "-c", program], cores=[core], log=tmp_path / "log", cwd=tmp_path, env={}
    )


@pytest.mark.slow
def test_cpu_time_and_memory_include_child_processes(start, tmp_path):
    core, serve = start
    with serve(PROGRAM) as server:
        server.wait_for((tmp_path / "ready").exists)
        assert 0.3 <= server.cpu_seconds() < 2
        assert core_seconds(core) > server.cpu_seconds()
        assert 50 < server.memory_megabytes() < 120
        assert len(server.processes()) == 2
        assert (tmp_path / "log").read_text() == f"{{{core}}}\n"
    assert server.processes() == []


def test_a_server_that_ends_before_it_answers_is_reported_with_its_output(start):
    _, serve = start
    with serve("raise SystemExit('no model')") as server, pytest.raises(Failed, match="ended with 1: no model"):
        server.wait_for(lambda: False)


def test_the_load_does_not_run_on_the_servers_core():
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        with pytest.raises(Failed, match="two cores"), reserved_core():
            raise AssertionError
        return
    with reserved_core() as core:
        assert os.sched_getaffinity(0) == before - {core}
    assert os.sched_getaffinity(0) == before
