"""Creates virtual environments for conversions, whose libraries neither training nor serving should have."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from training.errors import TrainingError
from training.progress import step

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
REMOVED = {"openvino": ["torchvision", "openvino-telemetry"]}  # incompatible with CPU builds of torch; sends usage data
MEGABYTES = {"openvino": 1300, "onnx": 600, "mlflow": 150}


def folder(name: str) -> Path:
    """Return the path of the environment `name`, which depends on its requirements."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    key = hashlib.sha256(
        "\n".join([sys.version, *requirements(f"export-{name}"), *REMOVED.get(name, [])]).encode()
    ).hexdigest()[:12]
    return Path(root, "inference-service", name, key)


def requirements(extra: str) -> list[str]:
    """Return the requirements of an extra in pyproject.toml, with those of the extras that it includes."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    result: list[str] = []
    for requirement in project["optional-dependencies"][extra]:
        included = re.fullmatch(rf"{project['name']}\[(.+)\]", requirement)
        result += requirements(included[1]) if included else [requirement]
    return result


def ready(name: str) -> Path:
    """Return the `bin` folder of the environment `name`; create it if it is missing or incomplete."""
    environment = folder(name)
    if not (environment / "complete").exists():
        with step(f"creating an environment for the conversion, {MEGABYTES[name]} MB in {environment}"):
            # An environment cannot be renamed into place, so a marker file tells that it is complete.
            shutil.rmtree(environment, ignore_errors=True)
            run([sys.executable, "-m", "venv", environment])
            pip = [str(environment / "bin/python"), "-m", "pip"]
            run([*pip, "install", "--quiet", "--no-compile", *requirements(f"export-{name}")])
            if unused := REMOVED.get(name):
                run([*pip, "uninstall", "--quiet", "--yes", *unused])
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
