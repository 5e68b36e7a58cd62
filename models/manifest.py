"""The manifest of a model: its identity, its digest and how it was made.

Only the standard library is imported: the chart's init container runs this module, in every image.
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_origin

MAX_BYTES = 8 * 1024**2  # of a manifest; parsed JSON may take twenty times its size in memory
JsonObject = dict[str, Any]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
VERSION = r"v[0-9A-Za-z][0-9A-Za-z.-]*"
RULES = {
    "name": (NAME, "letters, digits, '.', '_' and '-'"),
    "version": (VERSION, "'v' and letters, digits, '.' and '-'"),
    "engine": (r"[a-z0-9][a-z0-9.-]*", "lower-case letters, digits, '.' and '-'"),
    "sha256": (r"[0-9a-f]{64}", "64 hexadecimal digits"),
}


class RegistryError(Exception):
    """What is wrong with an artifact or its manifest: one line with the value, the rule and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The manifest of one version of a model. `extra` keeps the keys that this code does not know."""

    name: str
    version: str
    engine: str
    sha256: str
    size_bytes: int
    created: str = ""
    input: JsonObject = field(default_factory=dict)
    classes: list[Any] = field(default_factory=list)
    hyperparameters: JsonObject = field(default_factory=dict)
    data: JsonObject = field(default_factory=dict)
    metrics: JsonObject = field(default_factory=dict)
    libraries: JsonObject = field(default_factory=dict)
    probes: list[Any] = field(default_factory=list)  # requests with the answers that they must get
    extra: JsonObject = field(default_factory=dict)

    def to_json(self) -> str:
        """Return JSON text, a line for each key, unknown keys last; raise RegistryError beyond MAX_BYTES."""
        known = asdict(self)
        keys = known | known.pop("extra")
        text = "{\n" + ",\n".join(f'"{key}": {json.dumps(keys[key], allow_nan=False)}' for key in keys) + "\n}\n"
        if len(text) > MAX_BYTES:
            raise RegistryError(
                f"The manifest of {self.name}_{self.version} has {len(text)} bytes; at most {MAX_BYTES} are read."
            )
        return text


def parse(text: str | bytes) -> Manifest:
    """Return the manifest in `text`; raise ValueError with every mistake in it."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    if mistakes := _mistakes(values):
        raise ValueError(", ".join(mistakes))
    known = {f.name for f in fields(Manifest)} - {"extra"}
    extra = {key: value for key, value in values.items() if key not in known}
    return Manifest(**{key: value for key, value in values.items() if key in known}, extra=extra)


def split_id(version_id: str) -> tuple[str, str]:
    """Split `mnist_rf_v1` into name and version at the last `_v`; raise RegistryError where there is none."""
    match = re.fullmatch(rf"({NAME})_({VERSION})", version_id)
    if match is None:
        raise RegistryError(
            f"Version id {version_id!r} is not a name, '_' and a version that begins with 'v'. "
            "Give one such as mnist_rf_v1."
        )
    return match[1], match[2]


def _mistakes(values: JsonObject) -> list[str]:
    types = {f.name: get_origin(f.type) or f.type for f in fields(Manifest) if f.name != "extra"}
    return [text for key, json_type in types.items() if (text := _mistake(values, key, json_type))]


def _mistake(values: JsonObject, key: str, json_type: Any) -> str | None:
    if key not in values:
        return f"{key} is missing" if key in RULES or key == "size_bytes" else None
    if not isinstance(values[key], json_type) or isinstance(values[key], bool):
        return f"{key} is not of type {json_type.__name__}"
    if key in RULES and not re.fullmatch(RULES[key][0], values[key]):
        return f"{key} is {values[key][:80]!r} and not {RULES[key][1]}"
    return None
