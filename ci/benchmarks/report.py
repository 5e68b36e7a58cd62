"""Reports the figures as a table with ratios, and as JSON."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS = "ours"  # prefix of the names of our own servers


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False

    def best(self, values: Iterable[float]) -> float:
        return max(values) if self.more_is_better else min(values)

    def is_behind(self, ours: float, theirs: float) -> bool:
        return ours < theirs if self.more_is_better else ours > theirs


@dataclass(frozen=True)
class Row:
    """One server: its figures by the keys of the measures, in their units.

    `others_percent`: share of its core's time that went to other programs, which makes the figures worse.
    """

    name: str
    versions: Mapping[str, str]
    figures: Mapping[str, float]
    failures: Mapping[str, int]
    others_percent: float = 0.0


def document(
    measures: Sequence[Measure], rows: Sequence[Row], absent: Mapping[str, str], **facts: Any
) -> dict[str, Any]:
    """Return the JSON document, with `facts`. The first row is ours; `ratios` are theirs divided by ours."""
    ours = rows[0].figures
    return {
        **facts,
        "machine": machine(),
        "measures": [asdict(measure) for measure in measures],
        "contenders": [
            {
                **vars(row),
                "failures": dict(row.failures),
                "ratios": {key: ratio(value, ours[key]) for key, value in row.figures.items()},
            }
            for row in rows
        ],
        "absent": dict(absent),
        "behind": behind(measures, rows),
    }


def behind(measures: Sequence[Measure], rows: Sequence[Row]) -> list[str]:
    """Return a line for each measure in which another server is better than the best of ours."""
    ours = [row for row in rows if row.name.startswith(OURS)]
    return [
        f"{measure.title}: {rounded(best)} {measure.unit}, {row.name} {rounded(row.figures[measure.key])}"
        for measure in measures
        for best in [measure.best(row.figures[measure.key] for row in ours)]
        for row in rows
        if measure.is_behind(best, row.figures[measure.key])
    ]


def table(measures: Sequence[Measure], rows: Sequence[Row], absent: Mapping[str, str]) -> str:
    """Return a Markdown table with a column for each server; versions, failures and the machine follow it."""
    lines = [["", *(row.name for row in rows)]]
    for measure in measures:
        ours = rows[0].figures[measure.key]
        cells = [f"{rounded(row.figures[measure.key])}{_ratio_cell(row, rows[0], measure.key, ours)}" for row in rows]
        lines.append([f"{measure.title} [{measure.unit}]", *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    drawn = [_line(line, widths) for line in lines]
    drawn.insert(1, "| " + " | ".join("-" * (width - 1) + (":" if n else "-") for n, width in enumerate(widths)) + " |")
    notes = [f"{row.name}: {_listed(row.versions)}" for row in rows]
    notes += [f"{row.name} failed: {_listed(row.failures)}" for row in rows if row.failures]
    notes += [
        f"{row.name}: others took {rounded(row.others_percent)}% of its core" for row in rows if row.others_percent >= 1
    ]
    notes += [f"Not measured: {name} ({reason})" for name, reason in absent.items()]
    notes += [f"Ours is behind: {line}" for line in behind(measures, rows)] or ["Ours is ahead in every line."]
    return "\n".join([*drawn, "", "In brackets: divided by ours.", *notes, _listed(machine())])


def machine() -> dict[str, str | int | float | None]:
    """Describe this machine."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": model[0].partition(": ")[2] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": platform.release(),
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


def ratio(theirs: float, ours: float) -> float | None:
    """None where ours is 0."""
    return theirs / ours if ours else None


def rounded(value: float) -> str:
    """Format with three significant digits; from 100 on as a whole number."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratio_cell(row: Row, ours: Row, key: str, value: float) -> str:
    quotient = ratio(row.figures[key], value)
    return "" if row is ours or quotient is None else f" ({rounded(quotient)})"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _listed(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())
