"""A node that runs for months does not fill the machine's disk with logs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# The node's first process; its containerd writes three lines of 100 bytes and ends, and is started again.
COMMAND = """
from pathlib import Path
from ci.cluster import init

init.LOGS, init.LOG_BYTES, init.RESTART_SECONDS = Path("logs"), 1000, 0
init.kubelet = lambda: None
init.supervise([])
"""
SECONDS = 20


@pytest.mark.slow
def test_a_services_log_and_its_previous_one_are_bounded_and_keep_the_last_lines(tmp_path):
    for name, body in {"containerd": "printf '%099d\\n' 1 2 3", "portforward": ""}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "logs").mkdir()
    log, before = tmp_path / "logs/containerd.log", tmp_path / "logs/containerd.log.1"
    variables = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", COMMAND], cwd=tmp_path, env=variables) as node:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and not (before.exists() and log.stat().st_size):
            time.sleep(0.01)
        node.kill()
    assert log.stat().st_size <= 1300 and 1000 < before.stat().st_size <= 1300
    assert log.read_text().endswith("3\n")
