"""Any URL: a body template, filled with values in turn. Every 2xx is a success."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template as Placeholders
from typing import Any

from loadgen.targets.target import Sample, Target


@dataclass(frozen=True)
class Template(Target):
    """Answers are not read beyond their status."""

    name: str = "template"
    path: str = "/"
    samples: Sequence[Sample] = ()

    def accepts(self, status: int) -> bool:
        return 200 <= status < 300


def template(
    body: str,
    rows: Sequence[Mapping[str, Any]] = (),
    method: str = "POST",
    content_type: str = "application/json",
    path: str = "/",
) -> Template:
    """Return a target that sends `body` for each row in turn, with `$name` replaced by the row's value.

    In a JSON body values are JSON: texts come in quotes. Elsewhere they are inserted as they are. `$$` is a dollar.
    Raises ValueError, which names what the rows lack or the place of a wrong placeholder.
    """
    as_json = content_type == "application/json"
    samples = [Sample(_filled(body, row, as_json, number).encode()) for number, row in enumerate(rows or ({},))]
    return Template(samples=tuple(samples), method=method, content_type=content_type, accept="*/*", path=path)


def _filled(body: str, row: Mapping[str, Any], as_json: bool, number: int) -> str:
    values = {name: json.dumps(value) if as_json else str(value) for name, value in row.items()}
    try:
        return Placeholders(body).substitute(values)
    except KeyError as missing:
        raise ValueError(f"row {number} has no value for ${missing.args[0]}") from None
