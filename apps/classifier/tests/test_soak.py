"""A minute at saturation: every request is answered, and memory does not grow."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apps.serving.tests.processes import ROOT, resident_bytes, running, until

pytestmark = [pytest.mark.service, pytest.mark.full]
SECONDS, SETTLED_SECONDS = 60, 15
GROWTH_BYTES = 4_000_000


def test_a_minute_at_saturation_leaves_no_request_unanswered_and_no_memory_behind(artifact, tmp_path):
    report = tmp_path / "report.json"
    with running("apps.classifier", MODEL_PATH=artifact) as process:
        options = ["--concurrency=64", f"--duration-seconds={SECONDS}", "--connections=kept", f"--output={report}"]
        command = [sys.executable, "-m", "loadgen", "classifier", f"--url={process.url}/predict", *options]
        begun = time.monotonic()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as load:
            until(lambda: time.monotonic() - begun > SETTLED_SECONDS, SECONDS)
            settled = resident_bytes(process.popen.pid)
            assert load.wait(2 * SECONDS) == 0
        grown = resident_bytes(process.popen.pid) - settled
        descriptors = len(list(Path(f"/proc/{process.popen.pid}/fd").iterdir()))
    summary = json.loads(report.read_text())["summary"]
    assert summary["failed"] == 0 and summary["succeeded"] > 5_000
    assert grown < GROWTH_BYTES
    assert descriptors < 30
