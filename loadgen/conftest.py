"""What tests share: a stub service, an address that refuses connections, a small MNIST cache, a run."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen.engine.plan import Phase, Plan
from loadgen.engine.run import Recorded, run
from loadgen.statistics import output
from loadgen.statistics.document import document
from loadgen.targets.template import template
from loadgen.tests.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as service:
        yield service


@pytest.fixture
def refused_url() -> Iterator[str]:
    """An address that is bound, so that no other program can use it, and on which nothing listens."""
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/predict"


@pytest.fixture(autouse=True)
def mnist_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty images with labels 0 to 9, twice; the first pixel of image n is n, and the last is 255."""
    images = np.zeros((20, 784), np.uint8)
    images[:, 0], images[:, 783] = np.arange(20), 255
    path = tmp_path / "cache" / "inference-service" / "mnist" / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, images=images, labels=np.arange(20, dtype=np.uint8) % 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


@pytest.fixture
def plan(stub: Stub) -> Callable[..., Plan]:
    """Return a plan for the stub: one worker, kept connections, a closed loop of one user."""

    def make(seconds: float = 0.3, **changes: Any) -> Plan:
        settings: dict[str, Any] = {"target": template("{}"), "url": stub.url, "connections": "kept"}
        settings |= {"phases": (Phase("load", seconds),), "timeout_seconds": 5.0, "max_in_flight": 10_000}
        return Plan(**(settings | changes))

    return make


@pytest.fixture
def carry_out(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], Recorded]]:
    """Run a plan; return the document as it is written, requests included, and the recorded run."""

    def carry_out(plan: Plan, **arguments: Any) -> tuple[dict[str, Any], Recorded]:
        recorded = run(plan, tmp_path / "records", **arguments)
        path = tmp_path / "document.json"
        with path.open("wb") as file:
            output.write(file, document(recorded, {}), recorded)
        return json.loads(path.read_text()), recorded

    return carry_out
