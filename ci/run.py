"""Starts other programs; their output goes to the log of the step that runs them."""

import contextvars
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LOG: contextvars.ContextVar[IO[str] | None] = contextvars.ContextVar("log", default=None)
# Open files that every program inherits: the machine's lock is free when the last of them has ended, killed or not.
INHERITED: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar("inherited", default=())

STOPPED = threading.Event()  # set when the user interrupts: no step starts another program
STARTED: set[subprocess.Popen] = set()  # what runs
STARTING = threading.Lock()  # so that an interrupt misses none
# Seconds that a program has to end after each signal: on SIGINT apt-get finishes a package, helm takes back a release.
PATIENCE = {signal.SIGINT: 30, signal.SIGTERM: 10, signal.SIGKILL: 5}


class Failed(Exception):
    """A step cannot go on: what happened, and how to mend it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def run(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
) -> None:
    """Runs a command to its end with `env` added to ours; raises Failed unless it exits 0."""
    _start(command, cwd, env, input, timeout, LOG.get())


def output(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
) -> str:
    """As `run`, and returns what the command printed."""
    return _start(command, cwd, env, input, timeout, subprocess.PIPE)


def succeeds(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> bool:
    """Whether a command exits 0 in time. One that does not exist does not."""
    try:
        _start(command, cwd, env, None, timeout, subprocess.DEVNULL)
    except Failed:
        return False
    return True


def interruptible() -> None:
    """Lets SIGTERM and a closed terminal end a command as Ctrl-C does, and Ctrl-C a shell's background job too."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # ignored by nohup
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop() -> None:
    """Ends whatever runs, and starts nothing any more."""
    with STARTING:
        STOPPED.set()
    end(list(STARTED))


def end(processes: Sequence[subprocess.Popen]) -> None:
    """Ends programs with their children, which are in their process groups; at a second interrupt by force."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            _signal(processes, number)
    finally:
        _signal(processes, signal.SIGKILL)


def _signal(processes: Sequence[subprocess.Popen], number: signal.Signals) -> None:
    for process in filter(_lives, processes):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    deadline = time.monotonic() + PATIENCE[number]
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)


def _lives(process: subprocess.Popen) -> bool:
    process.poll()  # or the program itself would count until somebody asks how it ended
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):  # macOS refuses where all are dead
        return False
    return True


@contextmanager
def started(words: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """A program that leads a process group; who leaves the block early ends it."""
    with STARTING:
        if STOPPED.is_set():
            raise KeyboardInterrupt
        process = subprocess.Popen(words, process_group=0, **options)
        STARTED.add(process)
    with process:  # closes its pipes
        try:
            yield process
        except BaseException:
            end([process])
            raise
        finally:
            STARTED.discard(process)


def _start(command, cwd, env, input, timeout, stdout) -> str | None:
    words, log = [str(word) for word in command], LOG.get()
    short = f"`{' '.join(words[:6])}{' …' if words[6:] else ''}`"
    if log:
        print("$", *words, file=log, flush=True)
    options = {
        "cwd": cwd,
        "env": {**os.environ, **(env or {})},
        "stdin": subprocess.DEVNULL if input is None else subprocess.PIPE,
        "stdout": stdout,
        "stderr": subprocess.DEVNULL if stdout == subprocess.DEVNULL else (log or None),
        "text": True,
        "pass_fds": INHERITED.get(),
    }
    try:
        with started(words, **options) as process:
            printed, _ = process.communicate(input, timeout)
    except FileNotFoundError as error:
        raise Failed(f"{words[0]} is not on this machine ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{short} took longer than {error.timeout:.0f} s") from error
    if process.returncode:
        if STOPPED.is_set():
            raise KeyboardInterrupt
        raise Failed(f"{short} ended with {process.returncode}")
    return printed
