"""Keeps the environment that makes OpenVINO exports: its libraries want another transformers than ours."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from training.errors import TrainingError
from training.progress import step

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
UNWANTED = ["torchvision", "openvino-telemetry"]  # does not fit CPU builds of torch; reports to its makers


def folder() -> Path:
    """Return where the environment of these requirements is, or will be."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    key = hashlib.sha256("\n".join([sys.version, *requirements(), *UNWANTED]).encode()).hexdigest()[:12]
    return Path(root, "inference-service", "openvino", key)


def requirements() -> list[str]:
    """Return pyproject.toml's extra `export-openvino`."""
    return tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["export-openvino"]


def ready() -> Path:
    """Return the environment's folder of programs, after making it where it is not complete."""
    result = folder()
    if not (result / "complete").exists():
        with step(f"making an environment for the export, 1.3 GB in {result}"):
            shutil.rmtree(result, ignore_errors=True)  # an environment cannot be moved: a marker says that it is whole
            run([sys.executable, "-m", "venv", result])
            pip = [result / "bin/python", "-m", "pip"]
            run([*pip, "install", "--quiet", "--no-compile", *requirements()])
            run([*pip, "uninstall", "--quiet", "--yes", *UNWANTED])
            (result / "complete").touch()
    return result / "bin"


def run(command: list, text: str | None = None) -> str:
    """Run a program with `text` as its input and return its output; raise TrainingError with its last words."""
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    words = list(map(str, command))
    ended = subprocess.run(
        words, input=text, capture_output=True, text=True, cwd=PROJECT.parent, env={**os.environ, **quiet}
    )
    if ended.returncode:
        said = " ".join(ended.stderr.split())[-400:]
        raise TrainingError(f"`{' '.join(words[:5])} …` ended with {ended.returncode}: {said}")
    return ended.stdout
