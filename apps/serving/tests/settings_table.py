"""Keeps the tables of settings in the READMEs equal to the settings classes.

`python -m apps.serving.tests.settings_table` names the READMEs that differ; with `--write` it writes them.
"""

import argparse
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from apps.serving.settings import ServingSettings

APPS = Path(__file__).resolve().parents[2]
COMMAND = "python -m apps.serving.tests.settings_table --write"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"
CLASSES = {  # by name: the core cannot import the services
    "serving": "apps.serving.settings:ServingSettings",
    "classifier": "apps.classifier.settings:ClassifierSettings",
    "lm": "apps.lm.settings:LanguageModelSettings",
}


def fields_of(schema: type[ServingSettings]) -> dict[str, FieldInfo]:
    """Return the fields that `schema` adds to those of every service, or changes."""
    shared = {} if schema is ServingSettings else ServingSettings.model_fields
    return {name: field for name, field in schema.model_fields.items() if _facts(field) != _facts(shared.get(name))}


def table(schema: type[ServingSettings]) -> str:
    """Return a row for each of the schema's own fields: the variable, its default, its meaning."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in fields_of(schema).items():
        rows.append(f"| `{name.upper()}` | {_default(field.default)} | {_meaning(field)} |")
    return "\n".join(rows)


def readme_text(app: str) -> str:
    """Return the text that the README of `app` should have."""
    before, begin, rest = readme(app).read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{readme(app)} lacks the lines {BEGIN} and {END}, between which the table belongs.")
    return f"{before}{begin}\n{table(resolve_name(CLASSES[app]))}\n{end}{after}"


def readme(app: str) -> Path:
    return APPS / app / "README.md"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the READMEs that differ")
    options = parser.parse_args(arguments)
    stale = [app for app in CLASSES if readme(app).read_text() != readme_text(app)]
    for app in stale:
        if options.write:
            readme(app).write_text(readme_text(app))
        print(f"{readme(app)} {'written' if options.write else f'differs from the settings; run: {COMMAND}'}")
    return 1 if stale and not options.write else 0


def _facts(field: FieldInfo | None) -> tuple[Any, ...] | None:
    return field and (field.annotation, field.default, field.description)


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "must be set"
    if value in (None, "", []):
        return "empty"
    return f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{field.description} (one of {', '.join(choices)})" if choices else str(field.description)


if __name__ == "__main__":
    sys.exit(main())
