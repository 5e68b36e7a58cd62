"""Refuses a model folder that would lead the libraries out of it, or to work without end, before they read it.

Its digest says that nothing was altered since it was published, and nothing about who published it. Only the standard
library is imported.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.artifact import read_file
from models.manifest import RegistryError

MAX_BYTES = {"tokenizer.json": 64 * 1024**2}  # which is not read by Python; of it large vocabularies take 35 MB
MAX_JSON_BYTES = 16 * 1024**2
MAX_TEMPLATE_BYTES = 1024**2
MAX_LAYERS = 1000  # the largest models have 130, and 400 experts
LAYERS = re.compile(r"(.*_)?(layers?|experts|blocks)")  # keys of config.json that say how many there are


def check(folder: Path) -> None:
    """Raise RegistryError with one line, of the first file that is not as it should be."""
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.jinja")]):
        try:
            content = read_file(path, _most(path))
            if mistake := _mistake(path.name, content):
                raise ValueError(mistake)
        except (OSError, ValueError, RecursionError) as error:
            raise RegistryError(
                f"{str(path)!r} is refused: {error}. Publish the model again from its source."
            ) from error


def _most(path: Path) -> int:
    return MAX_TEMPLATE_BYTES if path.suffix == ".jinja" else MAX_BYTES.get(path.name, MAX_JSON_BYTES)


def _mistake(name: str, content: bytes) -> str | None:
    if name not in ("config.json", "tokenizer_config.json") and not name.endswith(".index.json"):
        return None
    for key, value in _items(json.loads(content)):
        if key in ("weight_map", "fast_tokenizer_files", "transformers_weights"):
            names = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            if outside := [name for name in names if not _is_plain(name)]:
                return f"its {key} names {str(outside[0])[:80]!r}, which is no plain name of a file in this folder"
        if LAYERS.fullmatch(key) and type(value) is int and value > MAX_LAYERS:
            return f"its {key} is {str(value)[:80]}, and at most {MAX_LAYERS} are computed"
    return None


def _items(values: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, those of parts (a text_config) too."""
    for key, value in values.items() if isinstance(values, dict) else ():
        yield key, value
        if key != "weight_map":
            yield from _items(value)


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and name == Path(name).name and name != ".."
