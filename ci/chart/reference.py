"""Keeps values.schema.json and the chart's README equal to the sentences and defaults in values.yaml.

`python ci/chart/reference.py` prints the differences; with `--write` it writes descriptions and defaults into the
schema and the table into the README. Types, enums, patterns, bounds and `required` of the schema are written by hand;
it tells where `required` lacks a value.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Tree = dict[str, Any]  # nested mappings, as YAML and JSON have them
CHART = Path(__file__).resolve().parents[2] / "charts" / "inference-service"
COMMAND = "python ci/chart/reference.py --write"
REQUIRED = "has a default, and a template would read it where null removed it. Name it in `required`, or allow null."
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"


class Value(NamedTuple):
    """A documented key of values.yaml: dotted path, sentence and default."""

    path: tuple[str, ...]
    sentence: str
    default: object


class ReferenceError(Exception):
    """Lines about keys without a sentence, and keys that values.yaml or the schema lacks."""


def values(text: str) -> list[Value]:
    """Return the documented values in the order of `text`, a values.yaml whose keys are indented by two.

    Raises ReferenceError for a scalar or an empty collection without a `# --` sentence.
    """
    data: Tree = yaml.safe_load(text)
    documented: list[Value] = []
    mistakes: list[str] = []
    stack: list[str] = []
    sentence: str | None = None
    covered: tuple[str, ...] | None = None
    for line in text.splitlines():
        if match := re.match(r" *# -- (.+)", line):
            sentence = match[1]
        elif match := re.match(r"( *)([\w./-]+):(.*)", line):
            stack = [*stack[: len(match[1]) // 2], match[2]]
            path = tuple(stack)
            if covered and path[: len(covered)] == covered:
                continue
            covered = path if sentence else None
            if sentence:
                documented.append(Value(path, sentence, at(data, path)))
            elif match[3].split("#")[0].strip():
                mistakes.append(f"values.yaml: {'.'.join(path)} has no `# --` sentence above it.")
            sentence = None
    if mistakes:
        raise ReferenceError("\n".join(mistakes))
    return documented


def at(tree: Tree, path: Iterable[str]) -> Any:
    """Return the value at `path` in nested mappings; raise KeyError if there is none."""
    return reduce(getitem, path, tree)


def described(schema: Tree, documented: list[Value]) -> Tree:
    """Return `schema` with each value's sentence and default; raise ReferenceError where the keys differ."""
    schema, mistakes = json.loads(json.dumps(schema)), []
    paths = {value.path for value in documented}
    for value in documented:
        try:
            leaf = at(schema, (key for part in value.path for key in ("properties", part)))
        except KeyError:
            mistakes.append(f"values.schema.json: {'.'.join(value.path)} of values.yaml is missing.")
            continue
        leaf.pop("default", None)
        leaf["description"] = value.sentence
        if not isinstance(value.default, dict | list):
            leaf["default"] = value.default
    mistakes += [f"values.schema.json: {'.'.join(path)} {REQUIRED}" for path in _not_required(schema)]
    for path in _leaves(schema):
        if path not in paths and path != ("global",):
            mistakes.append(f"values.schema.json: {'.'.join(path)} is not in values.yaml.")
    if mistakes:
        raise ReferenceError("\n".join(mistakes))
    return schema


def _not_required(schema: Tree, section: Tree | None = None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of scalars with a default, and of sections that require some, which may be missing and may not be null."""
    section = section or schema
    paths = []
    for key, child in section.get("properties", {}).items():
        paths += _not_required(schema, child, (*path, key))
        expected = child.get("default") is not None or "required" in child
        if expected and key not in section.get("required", ()) and not _nullable(schema, child):
            paths.append((*path, key))
    return paths


def _nullable(schema: Tree, node: Tree) -> bool:
    if "$ref" in node:
        return _nullable(schema, at(schema, node["$ref"].removeprefix("#/").split("/")))
    choices = node.get("anyOf", []) + node.get("oneOf", [])
    return "null" in node.get("type", ()) or None in node.get("enum", ()) or any(_nullable(schema, c) for c in choices)


def _leaves(schema: Tree, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of the schema's documented properties, and of leaves that no parent documents."""
    if "properties" not in schema or (path and "description" in schema):
        return [path]
    return [leaf for key, child in schema["properties"].items() for leaf in _leaves(child, (*path, key))]


def dump(node: object, depth: int = 0) -> str:
    """Return JSON with innermost objects on one line, so that each value is one line."""
    flat = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict) or (depth and not any(isinstance(v, dict) and v for v in node.values())):
        return flat
    if depth > 1 and "properties" not in node and len(flat) <= 200:
        return flat
    pad = "  " * (depth + 1)
    lines = [f"{pad}{json.dumps(key)}: {dump(child, depth + 1)}" for key, child in node.items()]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"


def table(documented: list[Value]) -> str:
    """Return the README's table, one row per value."""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for value in documented:
        default = "see values.yaml" if _long(value.default) else f"`{json.dumps(value.default)}`"
        rows.append(f"| `{'.'.join(value.path)}` | {default} | {value.sentence} |")
    return "\n".join(rows)


def _long(default: object) -> bool:
    return isinstance(default, dict | list) and len(json.dumps(default)) > 60


def generated(chart: Path) -> dict[Path, str]:
    """Return the expected texts of the schema and the README of `chart`, by path."""
    documented = values((chart / "values.yaml").read_text())
    schema, readme = chart / "values.schema.json", chart / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        schema: dump(described(json.loads(schema.read_text()), documented)) + "\n",
        readme: f"{before}{BEGIN}\n{table(documented)}\n{END}{after}",
    }


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files that differ")
    parser.add_argument("--chart", type=Path, default=CHART, help="folder of the chart")
    options = parser.parse_args()
    try:
        texts = generated(options.chart)
    except ReferenceError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [path for path, text in texts.items() if path.read_text() != text]
    for path in stale:
        if options.write:
            path.write_text(texts[path])
        print(f"{path.name} {'written' if options.write else f'differs from values.yaml; run: {COMMAND}'}")
    return 1 if stale and not options.write else 0


if __name__ == "__main__":
    sys.exit(main())
