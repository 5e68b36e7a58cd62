"""Real load, real metrics: the autoscaler adds a pod that answers and takes it away again; no request fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import python
from ci.cache import CHECKOUT
from ci.e2e.cluster import URLS, Workspace


@pytest.fixture
def burning(installed: Workspace) -> Iterator[Workspace]:
    """Each request burns a tenth of a CPU second, as in the README's demonstration."""
    installed.helmfile("apply", "--suppress-diff", "--state-values-set", "classifier.artificialCpuSec=0.1")
    yield installed
    installed.helmfile("apply", "--suppress-diff")


def test_load_scales_the_classifier_up_and_back_down(burning: Workspace, tmp_path: Path):
    burning.wait("one pod at rest", lambda: burning.ready("classifier") == 1, 180)
    first = {pod["metadata"]["name"] for pod in burning.pods("classifier")}
    report = tmp_path / "run.json"
    load = [str(python.executable()), "-m", "loadgen", "classifier", "--url", f"{URLS['classifier']}/predict"]
    options = ["--duration-seconds", "100", "--concurrency", "8", "--dataset-size", "200", "--output", str(report)]
    done = burning.run("env", f"PYTHONPATH={CHECKOUT}", *load, *options, timeout=180, check=False)
    run = json.loads(report.read_text())
    assert run["summary"]["failed"] == 0, done.stdout
    answered = {entry["pod"] for entry in run["summary"]["served_by"]}
    assert len(answered) >= 2 and answered > first, answered
    burning.wait("one pod again", lambda: burning.ready("classifier") == 1, 180)
