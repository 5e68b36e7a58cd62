"""The sections of a report on the autoscaler: its reaction, its decisions, and how well the supply met the demand."""

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

from loadgen.report.html import seconds, table
from loadgen.text import duration

Document = Mapping[str, Any]


def reaction(document: Document) -> str:
    stages = document.get("reaction")
    if not stages:
        return ""
    rows = [
        (
            stage["stage"],
            seconds(stage["at"]),
            seconds(stage["seconds"]),
            seconds(stage["floor_seconds"]),
            "; ".join(filter(None, [stage["detail"], stage["remedy"] and f"shorter by {stage['remedy']}"])),
        )
        for stage in stages
    ]
    intro = (
        "<p>From the rise of the load to the recovered latency. The floor is what the metrics' resolution and the "
        "autoscaler's period cost on average, whatever the release does.</p>"
    )
    heads = ("stage", "at", "took", "floor", "")
    return f"<h2>The reaction, taken apart</h2>{intro}{table(heads, rows, [1, 2, 3])}"


def decisions(document: Document) -> str:
    entries = document.get("decisions")
    if not entries:
        return ""
    rows = []
    for _, group in groupby(entries, lambda entry: [entry[name] for name in ("current", "proposed", "desired", "why")]):
        first, *others = group
        last = others[-1] if others else first
        syncs = f" to {seconds(last['t'])}, {len(others) + 1} syncs" if others else ""
        differs = any(entry["differs"] for entry in (first, *others))
        rows.append(
            (
                seconds(first["t"]) + syncs,
                first["current"],
                _known(first["proposed"]),
                _known(first["desired"]),
                _known(last["observed"]),
                "differs" if differs else "",
                " ".join([first["why"], *(f"Unknown: {text}." for text in first["unknown"])]),
            )
        )
    heads = ("at", "replicas", "by the samples", "after limits", "observed", "", "why")
    intro = (
        "<p>Each decision of the autoscaler, computed again from the pods' own samples by the algorithm of "
        f"{escape(str((document.get('cluster') or {}).get('server_version')))}.</p>"
    )
    return f"<h2>Why it scaled, and why not</h2>{intro}{table(heads, rows, range(5))}"


def elasticity(document: Document) -> str:
    figures = document.get("elasticity")
    if not figures:
        return ""
    rows = [
        ("replica-seconds used", f"{figures['replica_seconds']:,.0f}", "of ready replicas while requests were sent"),
        ("replica-seconds needed", f"{figures['replica_seconds_needed']:,.0f}", "in hindsight, at the target"),
        ("under-provisioned", f"{figures['under_timeshare']:.0%} of the time", f"by {figures['under_accuracy']:.0%}"),
        ("over-provisioned", f"{figures['over_timeshare']:.0%} of the time", f"by {figures['over_accuracy']:.0%}"),
        ("instability", f"{figures['instability']:.0%} of the time", "supply and demand moved apart"),
        ("CPU time of a request", duration(figures["cpu_seconds_per_request"]), "measured over the pods' samples"),
    ]
    if figures["objective_seconds"] is not None:
        outside = f"p99 above {duration(figures['objective_seconds'])}, or a failure"
        rows.append(("seconds outside the objective", str(figures["seconds_outside_objective"]), outside))
    return "<h2>Elasticity</h2>" + table(("", "", ""), rows, [1])


def _known(value: Any) -> str:
    return "?" if value is None else str(value)
