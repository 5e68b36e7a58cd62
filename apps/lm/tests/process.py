"""Starts the service as a process, as its users do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from apps.serving.tests.processes import Process, running

SECONDS = 120  # for a start: on a busy machine, importing torch alone takes half a minute
# One thread, since on a busy machine two wait for each other. No proxy for 127.0.0.1.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "DRAIN_SECONDS": "0"}


@contextmanager
def starting(**settings: object) -> Iterator[Process]:
    """Start `python -m apps.lm` with `settings` in its environment."""
    variables = ENVIRONMENT | {key.upper(): value for key, value in settings.items()}
    with running("apps.lm", ready=False, **variables) as process:
        yield process


@contextmanager
def serving(**settings: object) -> Iterator[Process]:
    """The same, and wait until it is ready."""
    with starting(**settings) as process:
        process.expect("ready", SECONDS)
        yield process


def client(process: Process) -> httpx.Client:
    """Return an HTTP client of the process."""
    return httpx.Client(base_url=process.url, timeout=60, trust_env=False)


def environment(**settings: object) -> dict[str, str]:
    """The environment of another program, such as one that only fetches a model."""
    return {**os.environ, **ENVIRONMENT, **{key.upper(): str(value) for key, value in settings.items()}}
