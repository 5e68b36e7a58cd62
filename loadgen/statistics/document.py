"""The JSON document of a run (schema_version 2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadgen.client.endpoint import public_url
from loadgen.engine.run import Recorded
from loadgen.statistics.provenance import provenance
from loadgen.statistics.saturation import generator, one_pod_warning
from loadgen.statistics.summary import summarise

SCHEMA_VERSION = 2


def document(recorded: Recorded, settings: Mapping[str, Any], ready_pods: int | None = None) -> dict[str, Any]:
    """Return the document without `requests`, which `output.write` streams from the records.

    thresholds is [], verdict, cluster, decisions, reaction and elasticity are None: the caller sets those that it has.
    """
    plan, clock, parts = recorded.plan, recorded.clock, summarise(recorded)
    warning = one_pod_warning(parts["summary"], ready_pods)
    return {
        "schema_version": SCHEMA_VERSION,
        "summary": parts["summary"],
        "verdict": None,
        "thresholds": [],
        "phases": parts["phases"],
        "drain": parts["drain"],
        "generator": generator(recorded, parts["measured"].table, parts["texts"]),
        "warnings": [warning] if warning else [],
        "settings": dict(settings),
        "target": plan.target.name,
        "url": public_url(plan.url, plan.target.path),
        "run": {
            "started_at": datetime.fromtimestamp(clock.epoch, UTC).isoformat(),
            "started_epoch": clock.epoch,
            "ended_by": recorded.ended_by,
            "sending_seconds": recorded.sending_seconds,
            "elapsed_seconds": parts["elapsed_seconds"],
            **provenance(),
        },
        "timeline": parts["timeline"],
        "cluster": None,
        "decisions": None,
        "reaction": None,
        "elasticity": None,
    }
