"""What produced a document: version, commit and machine."""

import os
import platform
import subprocess
import tomllib
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


def provenance() -> dict[str, Any]:
    """Return {"version", "commit", "host"}; version and commit are None outside of a checkout."""
    return {
        "version": _version(),
        "commit": _commit(),
        "host": {
            "name": platform.node(),
            "system": f"{platform.system()} {platform.release()}",
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "python": platform.python_version(),
        },
    }


def _version() -> str | None:
    try:
        version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return None
    return str(version)


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
