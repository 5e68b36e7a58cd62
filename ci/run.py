"""Starts other programs; their output goes to the log of the step that runs them."""

import contextvars
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LOG: contextvars.ContextVar[IO[str] | None] = contextvars.ContextVar("log", default=None)
# Open files that every program inherits: the machine's lock is free when the last of them has ended, killed or not.
INHERITED: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar("inherited", default=())

STOPPED = threading.Event()  # set when the user interrupts: no step starts another program


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
    return _start(command, cwd, env, input, timeout, subprocess.PIPE).stdout


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


def _start(command, cwd, env, input, timeout, stdout) -> subprocess.CompletedProcess:
    if STOPPED.is_set():
        raise KeyboardInterrupt
    words = [str(word) for word in command]
    log = LOG.get()
    if log:
        print("$", *words, file=log, flush=True)
    try:
        return subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=stdout,
            stderr=subprocess.DEVNULL if stdout == subprocess.DEVNULL else (log or None),
            text=True,
            timeout=timeout,
            check=True,
            pass_fds=INHERITED.get(),
        )
    except FileNotFoundError as error:
        raise Failed(f"{words[0]} is not on this machine ({error.strerror})") from error
    except subprocess.CalledProcessError as error:
        if STOPPED.wait(0.5 if error.returncode in (-2, 130) else 0):  # it had the user's Ctrl-C before we did
            raise KeyboardInterrupt from error
        raise Failed(f"`{' '.join(words[:6])}{' …' if words[6:] else ''}` ended with {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"`{' '.join(words[:6])}` took longer than {error.timeout:.0f} s") from error
