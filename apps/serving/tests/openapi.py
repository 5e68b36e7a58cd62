"""Checks a running service against its OpenAPI document with requests that schemathesis generates."""

import subprocess
import sys
from pathlib import Path

from apps.serving.tests.processes import Process

# A body that fits the schema may be refused: a picture can be blank, and a prompt too long.
OPTIONS = ["--exclude-checks=positive_data_acceptance", "--max-examples=25", "--request-timeout=10", "--seed=1"]


def holds(process: Process, folder: Path, operations: int, **parameters: str) -> None:
    """Fail on a response that is a 5xx or undocumented. `parameters` are the values of path parameters."""
    lines = [f'"path.{name}" = "{value}"' for name, value in parameters.items()]
    (folder / "schemathesis.toml").write_text("\n".join(["[parameters]", *lines]))
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{process.url}/openapi.json", *OPTIONS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:]
    assert f"Tested: {operations}" in done.stdout
    assert not [line for line in process.log if line["level"] == "error" or line.get("status", 0) >= 500]
