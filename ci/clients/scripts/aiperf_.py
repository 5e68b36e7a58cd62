import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

AIPERF = str(Path(sys.executable).with_name("aiperf"))
COUNT = 3  # requests


def profile(endpoint, *options):
    folder = Path(tempfile.mkdtemp())
    words = [
        *("--model", checks.MODEL, "--url", checks.SERVICE, "--tokenizer", os.environ["TOKENIZER"]),
        *("--endpoint-type", endpoint, "--request-count", str(COUNT), "--concurrency", "1", *options),
        *("--isl", "16", "--osl", "8", "--workers-max", "1", "--record-processors", "1"),
        *("--ui", "none", "--no-gpu-telemetry", "--artifact-dir", str(folder)),
    ]
    done = subprocess.run([AIPERF, "profile", *words], cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
    result = json.loads((folder / "profile_export_aiperf.json").read_text())
    assert result["request_count"]["avg"] == COUNT and not result.get("error_summary"), result.get("error_summary")


def check_chats():
    profile("chat")


def check_streams_of_chats():
    profile("chat", "--streaming")


def check_streams_of_completions():
    profile("completions", "--streaming")


checks.run(globals())
