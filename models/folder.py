"""Checks a model folder before a library reads it.

A folder is refused if its files would make the library read files outside of it, compute without end or unpickle: the
digest proves that nothing was altered since the model was published, but not that its publisher meant well. Only the
standard library is imported.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.artifact import read_file
from models.manifest import RegistryError

MAX_BYTES = {"tokenizer.json": 64 * 1024**2}  # not parsed by Python; large vocabularies take 35 MB
MAX_JSON_BYTES = 16 * 1024**2
MAX_TEMPLATE_BYTES = 1024**2
MAX_LAYERS = 1000  # the largest models have 130, and 400 experts
LAYERS = re.compile(r"(.*_)?(layers?|experts|blocks)")  # keys of config.json that count them


def check(folder: Path) -> None:
    """Raise RegistryError, one line about the first file that breaks a rule."""
    if (pickles := sorted(folder.glob("pytorch_model*.bin"))) and not list(folder.glob("*.safetensors")):
        raise RegistryError(
            f"{str(pickles[0])!r} is refused: it is a pickle, which can contain a program. Load the model where you "
            "trust it, and save it with `save_pretrained`, which writes safetensors."
        )
    for path in sorted([*folder.glob("*.json"), *folder.rglob("*.jinja")]):
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
    """Yield every key with its value, at any depth (in a text_config, for example)."""
    for key, value in values.items() if isinstance(values, dict) else ():
        yield key, value
        if key != "weight_map":
            yield from _items(value)


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and name == Path(name).name and name != ".."
