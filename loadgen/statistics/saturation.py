"""The generator's own limits: when its figures do not describe the service."""

from collections.abc import Mapping
from typing import Any


def one_pod_warning(summary: Mapping[str, Any], ready_pods: int | None) -> str | None:
    """Return a warning if one pod answered everything though several were ready, or None.

    ready_pods: ready pods in the cluster's view; None if that is unknown.
    """
    raise NotImplementedError
