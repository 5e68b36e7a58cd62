"""Reads the documents of earlier runs."""

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from loadgen.scenarios.fields import rule
from loadgen.statistics.document import SCHEMA_VERSION
from loadgen.statistics.schema import Document
from loadgen.text import safe

REMEDY = "Give the file of --output, as it was written."
MOST_MISTAKES = 5
LARGEST = 1e15  # of all numbers in a document, nanocores among them
DEEPEST = 20


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the document of a run, without its requests; raise ValueError, whose text is one line, if it is none."""
    document = _json(path)
    if not isinstance(document, dict) or "schema_version" not in document:
        raise ValueError(f"is not the document of a run. {REMEDY}")
    if document["schema_version"] != SCHEMA_VERSION:
        version = safe(json.dumps(document["schema_version"]))
        remedy = "Repeat the run, or use the loadgen that wrote it."
        raise ValueError(f"has the schema_version {version}; this loadgen reads {SCHEMA_VERSION}. {remedy}")
    document.pop("requests", None)  # no report shows single requests
    mistakes: dict[str, str] = {}  # by place
    try:
        cluster = Document.model_validate(document).cluster
        document["cluster"] = cluster and cluster.model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        mistakes = {".".join(map(str, entry["loc"])): rule(entry) for entry in error.errors()}
    mistakes |= _excesses(document)
    if mistakes:
        texts = [f"{safe(place)} {text}" for place, text in mistakes.items()]
        more = f"; and {len(texts) - MOST_MISTAKES} more" if len(texts) > MOST_MISTAKES else ""
        raise ValueError(f"is damaged: {'; '.join(texts[:MOST_MISTAKES])}{more}. {REMEDY}")
    return document


def _json(path: Path) -> Any:
    try:
        if stat.S_ISCHR(path.stat().st_mode):
            raise ValueError(f"is a device. {REMEDY}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{error.strerror}. {REMEDY}") from None
    except UnicodeDecodeError:
        raise ValueError(f"is not text in UTF-8. {REMEDY}") from None
    if not text.strip():
        raise ValueError(f"is empty. {REMEDY}")
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        cut_off = text.lstrip().startswith("{") and not (error.pos < len(text.rstrip()) and text.rstrip().endswith("}"))
        reason = "it ends too early" if cut_off else f"line {error.lineno}: {error.msg}"
        raise ValueError(f"is not JSON: {reason}. {REMEDY}") from None
    except (ValueError, RecursionError) as error:  # NaN, a number of 5,000 digits
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise ValueError(f"is not JSON: {reason}. {REMEDY}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _excesses(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the places of what no run can have measured, each with its rule."""
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        yield place, f"exceeds {LARGEST:g}"
    elif depth > DEEPEST:
        yield place, f"is nested over {DEEPEST} deep"
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _excesses(part, f"{place}.{key}".removeprefix("."), depth + 1)
