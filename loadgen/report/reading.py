"""Reads the documents of earlier runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the document of a run; raise ValueError if the file is none."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ValueError("is not JSON; give the file of --output.") from None
    if not isinstance(document, dict) or document.get("schema_version") != 2:
        raise ValueError("is not the document of a run (schema_version 2); give the file of --output.")
    return document
