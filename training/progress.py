"""Prints what is running and how long it took, so that a minute of training does not look like a hang."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

START = time.monotonic()


def say(text: str) -> None:
    """Write one line to stderr, with the seconds since the start of the program."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print when a step starts, and when it ends whether it was done or failed, and its seconds."""
    say(f"{text} ...")
    start, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "done"
    finally:
        say(f"{text}: {outcome} in {time.monotonic() - start:.1f} s")
