"""Virtual environments for tests with packages that the project does not have: made once, and kept in the cache."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path


def python_with(*packages: str) -> Path:
    """Return the Python of an environment with exactly these packages, such as "scikit-learn==1.3.2"."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    key = hashlib.sha256("\n".join([sys.version, *packages]).encode()).hexdigest()[:12]
    folder = Path(root, "inference-service", "test-environments", key)
    if not (folder / "complete").exists():  # an environment cannot be renamed into place
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "complete").touch()
    return folder / "bin/python"
