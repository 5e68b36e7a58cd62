"""Two runs side by side: one HTML page with their figures, and their charts on one time axis."""

from collections.abc import Mapping
from typing import Any

from loadgen.report import charts
from loadgen.report.html import CHARTS, shell, table

Document = Mapping[str, Any]

LATENCIES = [
    (f"{family.replace('_', ' ')} {name}, s", ("summary", f"{family}_seconds", name))
    for family in ("response", "service", "first_token", "inter_token")
    for name in ("p50", "p90", "p99", "max")
]
ELASTICITY = ("replica_seconds", "replica_seconds_needed", "under_timeshare", "over_timeshare", "instability")
# Figure -> its place in a document.
FIGURES: dict[str, tuple[str, ...]] = {
    "requests": ("summary", "requests"),
    "failed": ("summary", "failed"),
    "dropped": ("summary", "dropped"),
    "answers a second": ("summary", "rate_per_second"),
    **dict(LATENCIES),
    "accuracy": ("summary", "accuracy", "share"),
    "tokens a second": ("summary", "completion_tokens", "rate_per_second"),
    **{name.replace("_", " "): ("elasticity", name) for name in ELASTICITY},
    "generator, CPU s": ("generator", "cpu_seconds"),
}


def compare(first: Document, second: Document, names: tuple[str, str]) -> str:
    """Return the page. names: of the two runs, such as their files."""
    rows = []
    for name, path in FIGURES.items():
        a, b = _figure(first, path), _figure(second, path)
        if a is None and b is None:
            continue
        ratio = f"{b / a:.3g}" if a and b is not None else "-"
        rows.append((name, _number(a), _number(b), ratio))
    stages = {stage["stage"]: stage["at"] for stage in second.get("reaction") or []}
    for stage in first.get("reaction") or []:
        rows.append((f"{stage['stage']}, at s", _number(stage["at"]), _number(stages.get(stage["stage"])), "-"))
    differing = [
        (name, first["settings"].get(name, "-"), second["settings"].get(name, "-"))
        for name in sorted({*first["settings"], *second["settings"]})
        if first["settings"].get(name) != second["settings"].get(name)
    ]
    sections = [
        "<h1>Two runs side by side</h1>",
        table(("", *names, "ratio"), rows, [1, 2, 3]),
        "<h2>What was set differently</h2>" + table(("", *names), differing) if differing else "",
        CHARTS,
    ]
    data = {
        "end": max(charts.end(first), charts.end(second)),
        "phases": [],
        "panels": _overlaid(charts.panels(first), charts.panels(second)),
    }
    return shell("Two runs side by side", sections, data)


def _figure(document: Document, path: tuple[str, ...]) -> Any:
    part: Any = document
    for key in path:
        part = (part or {}).get(key)
    return part


def _overlaid(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a panel for each series that both runs have: A solid, B dashed."""
    others = {panel["id"]: {series["name"]: series for series in panel.get("series", ())} for panel in second}
    panels = []
    for panel in first:
        for number, series in enumerate(panel.get("series", ())):
            other = others.get(panel["id"], {}).get(series["name"])
            if other is not None and panel["kind"] == "lines":
                pair = [{**series, "name": "A", "style": 0}, {**other, "name": "B", "style": 2}]
                title = f"{panel['title']}: {series['name']}"
                panels.append({**panel, "id": f"{panel['id']}-{number}", "title": title, "series": pair})
    return panels


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
