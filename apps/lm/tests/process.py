"""Starts the service as its users do; on a busy machine torch alone takes half a minute to import."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from apps.serving.tests.processes import Process, running

SECONDS = 120
# Two threads wait for each other on a busy machine; nothing between us and 127.0.0.1.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "DRAIN_SECONDS": "0"}


@contextmanager
def starting(**settings: object) -> Iterator[Process]:
    """Start `python -m apps.lm` with `settings` in its environment."""
    with running("apps.lm", ready=False, **ENVIRONMENT | {key.upper(): value for key, value in settings.items()}) as it:
        yield it


@contextmanager
def serving(**settings: object) -> Iterator[Process]:
    """The same, ready."""
    with starting(**settings) as process:
        process.expect("ready", SECONDS)
        yield process


def client(process: Process) -> httpx.Client:
    """Return a client of the process."""
    return httpx.Client(base_url=process.url, timeout=60, trust_env=False)


def environment(**settings: object) -> dict[str, str]:
    """The variables of a process that is not the service, such as one that only fetches a model."""
    return {**os.environ, **ENVIRONMENT, **{key.upper(): str(value) for key, value in settings.items()}}
