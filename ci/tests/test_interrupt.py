"""An interrupt of a ci/ command ends the programs that it has started, and their children."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci import run

ROOT = Path(__file__).parents[2]
# A ci/ command whose only step, and whose pytest, are shell scripts.
COMMAND = """
import os, runpy, sys
from ci import cache, checks, lock, plan, preflight, python
from ci.run import run
from ci.steps import Step

steps = [Step("python", lambda: run(["sh", "-c", os.environ["STEP"]]))]
lock.MACHINE, preflight.check, python.executable = cache.CACHE, lambda: None, lambda: os.environ["PYTEST"]
checks.lint, checks.UNIT = list, {"all": []}
plan.cluster_with_images = plan.python_environment = lambda *_: steps
plan.installed = lambda *_: []
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CHILD = "exec >$PIPE; tail --pid=$PPID -f $LINE; true"  # reports that it runs, and never ends
LANES = {"ci/up": [], "ci/test": ["unit"]}
SECONDS = 20  # to wait for something to happen


class Pipe:
    """A FIFO that shows when a script runs, and when all processes that have it open have ended."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.reader = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)

    def next(self) -> bytes:
        assert select.select([self.reader], [], [], SECONDS)[0], f"nothing within {SECONDS} s"
        return self.reader.read(1)

    def runs(self) -> bool:
        return self.next() == b"\n"

    def ended(self) -> bool:
        return self.next() == b""


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIPE", str(tmp_path / "pipe"))
    monkeypatch.setenv("LINE", str(tmp_path / "line"))
    (tmp_path / "line").write_text("\n")
    pipe = Pipe(tmp_path / "pipe")
    with pipe.reader:
        yield pipe


def interrupted(pipe: Pipe, number: int, command: str, **scripts: str) -> str:
    """Sends a signal to a ci/ command once its script runs; returns its output when all processes have ended."""
    words = [sys.executable, "-c", COMMAND, command, *LANES[command]]
    variables = {**os.environ, "PYTEST": "", **scripts}
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As in a terminal, also where these tests run under nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        try:
            assert pipe.runs()
            process.send_signal(number)
            assert pipe.ended()
            return process.communicate(timeout=SECONDS)[0]
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "number"),
    [("ci/up", signal.SIGTERM), ("ci/up", signal.SIGHUP), ("ci/test", signal.SIGTERM), ("ci/test", signal.SIGINT)],
)
def test_a_signal_ends_the_programs_of_a_step_and_their_children(pipe, command, number):
    assert f"{command}: interrupted" in interrupted(pipe, number, command, STEP=CHILD)


@pytest.mark.slow
def test_a_signal_ends_processes_that_tests_did_not_end(pipe, tmp_path):
    leaves_a_child = tmp_path / "pytest"
    program = f"import signal, subprocess; subprocess.Popen(['sh', '-c', {CHILD!r}]); signal.pause()"
    leaves_a_child.write_text(f"#!{sys.executable}\n{program}\n")
    leaves_a_child.chmod(0o755)
    scripts = {"STEP": "true", "PYTEST": str(leaves_a_child)}
    assert "ci/test: interrupted" in interrupted(pipe, signal.SIGTERM, "ci/test", **scripts)


def test_a_child_that_ignores_signals_is_killed(pipe):
    with run.started(["sh", "-c", f"trap '' INT TERM; {CHILD}"]) as process:
        assert pipe.runs()
        run.end([process], dict.fromkeys(run.SIGNAL_SECONDS, 0.01))
        assert pipe.ended()


@pytest.mark.slow
def test_a_program_that_takes_too_long_is_ended_with_its_children(pipe):
    with pytest.raises(run.Failed, match="took longer than 1 s"):
        run.output(["sh", "-c", CHILD], timeout=0.6)
    assert pipe.runs() and pipe.ended()


def test_a_command_under_nohup_ignores_the_end_of_its_terminal():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run.interruptible()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
