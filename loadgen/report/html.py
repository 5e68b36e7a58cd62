"""The frame of a report, and its tables, as HTML."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NO_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
CHARTS = (
    '<h2>One time axis</h2><p class="hint">The pointer or the arrow keys read every chart at one instant. '
    "Drag to enlarge a stretch of time, double-click or Escape for all of it.</p>"
    '<div id="instant" role="status"></div><div id="charts" tabindex="0"></div>'
)


def shell(title: str, sections: Iterable[str], data: Mapping[str, Any] | None) -> str:
    """Return a whole page. data: what `charts.js` draws; None draws nothing."""
    script = ""
    if data is not None:
        # "<" cannot end the element then, whatever a server has sent.
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        script = f'<script type="application/json" id="data">{text}</script><script>{_file("charts.js")}</script>'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{NO_OUTSIDE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_file('style.css')}</style></head><body>{''.join(sections)}{script}</body></html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = ()) -> str:
    """Return a table. numbers: columns that are aligned to the right. Cells are text, not HTML."""
    right = set(numbers)

    def row(cells: Sequence[Any], tag: str) -> str:
        made = [
            f"<{tag}{' class=n' if column in right else ''}>{escape(str(cell))}</{tag}>"
            for column, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="scroll"><table><thead>{row(heads, "th")}</thead><tbody>{body}</tbody></table></div>'


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}\N{NO-BREAK SPACE}s"
