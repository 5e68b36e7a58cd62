"""A started server is pinned, measured with all its processes, and gone afterwards."""

import os
import sys

import pytest

from ci.benchmarks.process import core_seconds, cores, serving
from ci.run import Failed

PROGRAM = """
import multiprocessing, os, time
def burn():
    content = bytearray(50_000_000)
    content[::1024] = b"x" * len(content[::1024])
    begun = time.process_time()
    while time.process_time() - begun < 0.3: pass
    open("ready", "w").close()
    time.sleep(60)
multiprocessing.get_context("fork").Process(target=burn).start()
print(os.sched_getaffinity(0), flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    core = min(os.sched_getaffinity(0))
    return core, lambda program: serving(
        [sys.executable, "-c", program], core=core, log=tmp_path / "log", cwd=tmp_path, env={}
    )


def test_cpu_and_memory_are_those_of_all_processes_on_the_one_core(start, tmp_path):
    core, serve = start
    with serve(PROGRAM) as server:
        server.wait_for((tmp_path / "ready").exists)
        assert 0.3 <= server.cpu_seconds() < 2
        assert core_seconds(core) > server.cpu_seconds()
        assert 50 < server.memory_megabytes() < 120
        assert len(server.processes()) == 2
        assert (tmp_path / "log").read_text() == f"{{{core}}}\n"
    assert server.processes() == []


def test_a_server_that_ends_before_it_answers_says_its_last_words(start):
    _, serve = start
    with serve("raise SystemExit('no model')") as server, pytest.raises(Failed, match="ended with 1: no model"):
        server.wait_for(lambda: False)


def test_the_load_keeps_off_the_servers_core():
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        with pytest.raises(Failed, match="two cores"), cores():
            raise AssertionError
        return
    with cores() as core:
        assert os.sched_getaffinity(0) == before - {core}
    assert os.sched_getaffinity(0) == before
