"""Creates a virtual environment for the OpenVINO export, whose libraries need another version of transformers."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from training.errors import TrainingError
from training.progress import step

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
REMOVED = ["torchvision", "openvino-telemetry"]  # incompatible with CPU builds of torch; sends usage data


def folder() -> Path:
    """Return the environment's path, which depends on its requirements."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    key = hashlib.sha256("\n".join([sys.version, *requirements(), *REMOVED]).encode()).hexdigest()[:12]
    return Path(root, "inference-service", "openvino", key)


def requirements() -> list[str]:
    """Return pyproject.toml's extra `export-openvino`."""
    extras: dict[str, list[str]] = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    return extras["export-openvino"]


def ready() -> Path:
    """Return the environment's `bin` folder; create the environment if it is missing or incomplete."""
    environment = folder()
    if not (environment / "complete").exists():
        with step(f"creating an environment for the export, 1.3 GB in {environment}"):
            # An environment cannot be renamed into place, so a marker file tells that it is complete.
            shutil.rmtree(environment, ignore_errors=True)
            run([sys.executable, "-m", "venv", environment])
            pip = [str(environment / "bin/python"), "-m", "pip"]
            run([*pip, "install", "--quiet", "--no-compile", *requirements()])
            run([*pip, "uninstall", "--quiet", "--yes", *REMOVED])
            (environment / "complete").touch()
    return environment / "bin"


def run(command: Sequence[str | Path], text: str | None = None) -> str:
    """Run a program with `text` as its input and return its output.

    Raises TrainingError with the end of its stderr if it fails.
    """
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    words = list(map(str, command))
    result = subprocess.run(
        words, input=text, capture_output=True, text=True, cwd=PROJECT.parent, env={**os.environ, **quiet}
    )
    if result.returncode:
        reason = " ".join(result.stderr.split())[-400:]
        raise TrainingError(f"`{' '.join(words[:5])} …` ended with {result.returncode}: {reason}")
    return result.stdout
