"""The shape of a manifest: what a model is, who made it, and how to tell that it is the right one.

Only the standard library is imported: the gate and every image run this module.
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields

MAX_BYTES = 8 * 1024**2  # of a manifest; as JSON may take twenty times its size in memory
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
VERSION = r"v[0-9A-Za-z][0-9A-Za-z.-]*"
RULES = {
    "name": (NAME, "letters, digits, '.', '_' and '-'"),
    "version": (VERSION, "'v' and letters, digits, '.' and '-'"),
    "engine": (r"[a-z0-9][a-z0-9.-]*", "lower-case letters, digits, '.' and '-'"),
    "sha256": (r"[0-9a-f]{64}", "64 hexadecimal digits"),
}


class RegistryError(Exception):
    """What is wrong with an artifact or its manifest: one line with what is given, the rule, the remedy."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known about one version of a model. Keys that this code does not know are kept in `extra`."""

    name: str
    version: str
    engine: str
    sha256: str
    size_bytes: int
    created: str = ""
    input: dict = field(default_factory=dict)
    classes: list = field(default_factory=list)
    hyperparameters: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    libraries: dict = field(default_factory=dict)
    probes: list = field(default_factory=list)
    extra: dict = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the manifest as JSON text, a line per key, unknown keys last."""
        known = asdict(self)
        keys = known | known.pop("extra")
        text = "{\n" + ",\n".join(f'"{key}": {json.dumps(keys[key], allow_nan=False)}' for key in keys) + "\n}\n"
        if len(text) > MAX_BYTES:
            raise RegistryError(
                f"The manifest of {self.name}_{self.version} has {len(text)} bytes; at most {MAX_BYTES} are read."
            )
        return text


def parse(text: str | bytes) -> Manifest:
    """Return the manifest in `text`; raise ValueError that names every mistake in it."""
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


def _mistakes(values: dict) -> list[str]:
    return [text for f in fields(Manifest) if f.name != "extra" and (text := _mistake(values, f.name, f.type))]


def _mistake(values: dict, key: str, kind: type) -> str | None:
    if key not in values:
        return f"{key} is missing" if key in RULES or key == "size_bytes" else None
    if not isinstance(values[key], kind) or isinstance(values[key], bool):
        return f"{key} is not of type {kind.__name__}"
    if key in RULES and not re.fullmatch(RULES[key][0], values[key]):
        return f"{key} is {values[key][:80]!r} and not {RULES[key][1]}"
    return None
