"""Starts other programs, writes their output to the log of the step that runs them, and ends them on an interrupt."""

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
# Open files that every program inherits: the machine's lock stays held until the last of these programs has ended.
INHERITED: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar("inherited", default=())

STOPPED = threading.Event()  # set when the user interrupts: no step starts another program
STARTED: set[subprocess.Popen[str]] = set()  # the programs that run
STARTING = threading.Lock()  # so that an interrupt misses no program
# Seconds to wait after each signal: on SIGINT apt-get finishes a package, and helm rolls a release back.
SIGNAL_SECONDS = {signal.SIGINT: 30, signal.SIGTERM: 10, signal.SIGKILL: 5}


class Failed(Exception):
    """A step cannot continue: the `problem`, and the `remedy`."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def run(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
) -> None:
    """Runs a command with `env` added to the environment; raises Failed unless it exits 0."""
    _start(command, cwd, env, input, timeout, LOG.get())


def output(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    timeout: float | None = None,
) -> str:
    """Runs a command as `run` does, and returns its standard output."""
    return _start(command, cwd, env, input, timeout, subprocess.PIPE)


def succeeds(
    command: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> bool:
    """Whether a command exits 0 within `timeout` seconds; False if it does not exist."""
    try:
        _start(command, cwd, env, None, timeout, subprocess.DEVNULL)
    except Failed:
        return False
    return True


def interruptible() -> None:
    """Makes SIGTERM and a closed terminal act as Ctrl-C, and Ctrl-C act on a shell's background job too."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # ignored by nohup
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop() -> None:
    """Ends all running programs, and keeps others from starting."""
    with STARTING:
        STOPPED.set()
    end(list(STARTED))


def end(processes: Sequence[subprocess.Popen[str]], seconds: Mapping[signal.Signals, float] = SIGNAL_SECONDS) -> None:
    """Ends programs with their process groups: SIGINT, SIGTERM, SIGKILL, and waits `seconds` after each signal.

    A second interrupt goes to SIGKILL at once.
    """
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            _signal(processes, number, seconds[number])
    finally:
        _signal(processes, signal.SIGKILL, seconds[signal.SIGKILL])


def _signal(processes: Sequence[subprocess.Popen[str]], number: signal.Signals, seconds: float) -> None:
    for process in filter(_lives, processes):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    deadline = time.monotonic() + seconds
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)


def _lives(process: subprocess.Popen[str]) -> bool:
    process.poll()  # reaps the program itself, which would count as alive otherwise
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of dead processes
        return False
    return True


@contextmanager
def started(
    words: Sequence[str],
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: IO[str] | int | None = None,
    stderr: IO[str] | int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Starts a program in its own process group with `env` added to the environment; an exception inside ends it."""
    with STARTING:
        if STOPPED.is_set():
            raise KeyboardInterrupt
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            pass_fds=INHERITED.get(),
            process_group=0,
        )
        STARTED.add(process)
    with process:  # closes its pipes
        try:
            yield process
        except BaseException:
            end([process])
            raise
        finally:
            STARTED.discard(process)


def _start(
    command: Sequence[object],
    cwd: Path | str | None,
    env: Mapping[str, str] | None,
    input: str | None,
    timeout: float | None,
    stdout: IO[str] | int | None,
) -> str:
    words, log = [str(word) for word in command], LOG.get()
    short = f"`{' '.join(words[:6])}{' …' if words[6:] else ''}`"
    if log:
        print("$", *words, file=log, flush=True)
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    stderr = subprocess.DEVNULL if stdout == subprocess.DEVNULL else log
    try:
        with started(words, cwd, env, stdin, stdout, stderr) as process:
            printed, _ = process.communicate(input, timeout)
    except FileNotFoundError as error:
        raise Failed(f"{words[0]} is not on this machine ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{short} took longer than {error.timeout:.0f} s") from error
    if process.returncode:
        if STOPPED.is_set():
            raise KeyboardInterrupt
        raise Failed(f"{short} ended with {process.returncode}")
    return printed or ""
