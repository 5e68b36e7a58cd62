"""The JSON document of a run (schema_version 2)."""

from collections.abc import Mapping
from typing import Any

from loadgen.engine.run import Recorded


def document(recorded: Recorded, settings: Mapping[str, Any], ready_pods: int | None = None) -> dict[str, Any]:
    """Return the document without `requests`, which `output.write` streams from the records.

    thresholds is [], verdict, cluster, decisions, reaction and elasticity are None: the caller sets those that it has.
    """
    raise NotImplementedError
