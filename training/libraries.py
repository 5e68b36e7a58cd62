"""Reports the versions of the libraries that made a model."""

import platform
from importlib import metadata


def versions(*distributions: str) -> dict[str, str]:
    """Return the versions of Python and of the named distributions."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in distributions}
