"""Nothing measured is lost: signals, a full disk, a worker that dies, a parent that dies."""

import asyncio
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from loadgen.engine import limits
from loadgen.engine.records import chunks
from loadgen.engine.run import run
from loadgen.engine.stop import Stop
from loadgen.scenarios.schedule import Segment, arrivals
from loadgen.targets.outcome import Outcome
from loadgen.tests.stub import answer, silent

pytestmark = pytest.mark.slow  # each run starts processes

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def worker_processes():
    """Return the ids of this process's workers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"loadgen.engine.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_ends_an_open_loop_with_all_that_was_due(stub, plan, carry_out, number):
    async def handler(request):
        if request.number == 50:
            os.kill(os.getpid(), number)
        await asyncio.sleep(0.1)
        request.send(answer())

    stub.handler = handler
    due = arrivals([Segment(60, 200, 200)])
    document, _ = carry_out(plan(60, arrivals=due, concurrency=100, workers=2))
    summary, window = document["summary"], document["run"]["sending_seconds"]
    assert document["run"]["ended_by"] == number.name
    assert 0.2 < window < 10
    assert summary["requests"] == summary["succeeded"] == stub.requests
    assert abs(summary["requests"] - (due <= window).sum()) <= 2  # workers hear of it one after the other
    assert document["generator"]["started"] == document["generator"]["due"]


@pytest.fixture
def deadline():
    """Fail a test that hangs."""

    def expire(*_):
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("requests", [1, 2])
def test_a_signal_before_the_workers_are_ready_ends_the_run(plan, carry_out, deadline, requests):
    with Stop() as stop:
        for _ in range(requests):
            stop.request("SIGINT")
        document, recorded = carry_out(plan(60, workers=2, concurrency=2), stop=stop)
    assert document["run"]["ended_by"] == "SIGINT" and not recorded.problems
    assert document["run"]["sending_seconds"] < 30


def test_second_signal_cuts_off_what_is_under_way(stub, plan, carry_out):
    stub.handler = silent
    told = []

    def on_second(second):
        told.append(second)
        if len(told) <= 2:
            os.kill(os.getpid(), signal.SIGINT)

    due = arrivals([Segment(60, 20, 20)])
    document, _ = carry_out(plan(60, arrivals=due, concurrency=5, timeout_seconds=60, workers=1), on_second=on_second)
    summary = document["summary"]
    assert summary["interrupted"] == len(document["requests"]) >= 15
    assert (summary["requests"], summary["failed"], summary["response_seconds"]) == (0, 0, None)
    assert sum(row["sent"] is not None for row in document["requests"]) == stub.requests == 5


def test_decision_of_the_caller_ends_a_run_with_its_reason(stub, plan, carry_out):
    with Stop() as stop:
        document, _ = carry_out(plan(60), on_second=lambda second: stop.request("p99<200ms was missed"), stop=stop)
    assert document["run"]["ended_by"] == "p99<200ms was missed"
    assert 0.9 < document["run"]["sending_seconds"] < 10 and stop.signal is None


def test_third_signal_raises_and_handlers_are_restored():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), Stop() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.requests, stop.signal, stop.reason) == (2, signal.SIGTERM, "SIGTERM")
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_each_request_to_stop_is_one_byte_to_read():
    with Stop() as stop:
        stop.request("first")
        stop.request("second")
        assert (os.read(stop.fileno(), 10), stop.reason) == (b"\0\0", "first")


def test_worker_that_dies_leaves_its_records_and_is_the_generators_failure(stub, plan, carry_out):
    def on_second(second):
        if second.second == 0:
            os.kill(worker_processes()[0], signal.SIGKILL)

    due = arrivals([Segment(3, 100, 100)])
    document, _ = carry_out(plan(3, arrivals=due, concurrency=10, workers=2), on_second=on_second)
    reasons = document["generator"]["reasons"]
    assert any("ended unexpectedly, with status -9" in reason for reason in reasons)
    assert any(reason.startswith("Only ") and " of 300 due requests were started" in reason for reason in reasons)
    assert 150 < document["summary"]["succeeded"] < 300
    assert not worker_processes()


def test_full_disk_loses_only_what_came_after(plan, tmp_path):
    """RLIMIT_FSIZE stands for a full disk: writing stops within a record."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        recorded = run(plan(60, arrivals=arrivals([Segment(60, 300, 300)]), concurrency=10), tmp_path / "records")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    (worker,) = [records for _, records in chunks(recorded.folder)]
    assert len(worker) == 5000 // worker.dtype.itemsize
    assert recorded.ended_by == "the records cannot be written: File too large"
    assert recorded.problems and recorded.sending_seconds < 30


def test_workers_end_when_their_parent_is_killed(stub, plan, tmp_path):
    stub.handler = silent
    parent = other_process(plan(60, arrivals=np.linspace(0, 1, 5), concurrency=10, timeout_seconds=60), tmp_path)
    wait(lambda: stub.requests == 5)
    parent.kill()
    parent.wait()
    wait(lambda: stub.open_connections == 0)
    outcomes = np.concatenate([records["outcome"] for _, records in chunks(tmp_path / "records")])
    assert outcomes.tolist() == [Outcome.INTERRUPTED] * 5


def wait(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_plan_beyond_the_open_files_is_refused_before_anything_is_sent(stub, plan, tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 1000))
    with pytest.raises(limits.Refused) as refused:
        run(plan(concurrency=2000, workers=2), tmp_path / "records")
    assert str(refused.value) == (
        "concurrency (2,000) needs 1,064 open files in each of 2 processes; this machine allows 1,000. "
        "Lower the concurrency, or raise the limit (ulimit -Hn)."
    )
    assert stub.requests == 0 and not (tmp_path / "records").exists()


def test_all_mistakes_of_a_plan_are_told_at_once(plan, tmp_path):
    nothing = tmp_path / "empty.pem"
    nothing.write_text("")
    wrong = plan(
        url="https://user:secret@127.0.0.1/",
        headers=(("X-Good", "1"), ("a b", "1"), ("X", "1\r\nY: 2"), ("Content-Length", "3"), ("Z", "\u20ac")),
        ca=nothing,
    )
    with pytest.raises(limits.Refused) as refused:
        limits.check(wrong)
    assert str(refused.value).splitlines() == [
        "header 'a b': a name has letters, digits and hyphens, and no spaces.",
        "header X: a value has characters of ISO-8859-1, and no line breaks.",
        "header Content-Length: loadgen itself sends the length of the body.",
        "header Z: a value has characters of ISO-8859-1, and no line breaks.",
        f"{nothing} cannot be used as certificate authority: it holds no certificate.",
    ]
    with pytest.raises(limits.Refused, match=r"none\.pem cannot be used .*: No such file or directory"):
        limits.check(plan(url="https://127.0.0.1/", ca=tmp_path / "none.pem"))
    with pytest.raises(limits.Refused, match=r"^ftp://127.0.0.1/: must be http://HOST:PORT/PATH"):
        limits.check(plan(url="ftp://user:secret@127.0.0.1/"))


def test_plan_beyond_the_ports_is_refused(plan, tmp_path, monkeypatch):
    ports = tmp_path / "ports"
    ports.write_text("1000\t1099\n")
    monkeypatch.setattr(limits, "PORTS", ports)
    with pytest.raises(limits.Refused, match=r"concurrency \(101\) exceeds the 100 ports"):
        limits.check(plan(concurrency=101))
    limits.check(plan(concurrency=100))


@pytest.fixture
def open_files():
    """Limit the open files of the processes that are started until `restore` is called."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def restore(_=None):
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1])), restore
    restore()


def test_soft_limit_of_open_files_is_raised_first(stub, plan, carry_out, open_files):
    async def slow(request):
        await asyncio.sleep(0.5)
        request.send(answer())

    stub.handler = slow
    limit, restore = open_files
    limit(64)
    document, _ = carry_out(plan(0.2, concurrency=100), on_start=restore)
    assert document["summary"]["succeeded"] == 100


def test_too_many_open_files_are_the_generators_and_not_the_services(stub, plan, tmp_path):
    async def slow(request):
        await asyncio.sleep(0.5)
        request.send(answer())

    stub.handler = slow
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))\nlimits.check = lambda plan: None\n"
    parent = other_process(plan(0.2, concurrency=100), tmp_path, limit)
    assert parent.wait(30) == 0
    document = json.loads((tmp_path / "document.json").read_text())
    summary, generator = document["summary"], document["generator"]
    assert summary["failed"] == 0 and summary["local"] >= 40 and summary["errors"] == []
    assert generator["saturated"]
    assert generator["local_errors"] == [{"detail": "Too many open files", "requests": summary["local"]}]
    assert summary["response_seconds"]["max"] < 5


def other_process(plan, folder, before=""):
    """Run a plan in a process of its own, which writes document.json into `folder`."""
    code = (
        "import pickle, sys; from pathlib import Path; from loadgen.engine import limits, run\n"
        "from loadgen.statistics import document, output\n"
        f"{before}"
        "recorded = run.run(pickle.load(sys.stdin.buffer), Path(sys.argv[1]) / 'records')\n"
        "output.write(open(sys.argv[1] + '/document.json', 'wb'), document.document(recorded, {}), recorded)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, env=environment)
    assert parent.stdin is not None
    parent.stdin.write(pickle.dumps(plan))
    parent.stdin.close()
    return parent
