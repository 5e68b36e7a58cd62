"""What a row of a table is: its features, as `input` of the manifest describes them.

A feature has a name and a kind, and where they are known a unit, the range of its training data, the values of a
category, and whether it may be missing. Only the standard library is imported.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

KINDS = ("float", "int", "bool", "category")
# A row must have a number; it may have null in its place; it may also leave it out.
MISSING = ("refused", "null", "optional")
MAX_NAME = 200
UNKNOWN = ("refused", "accepted")  # other texts than the values of a category
KEYS = ("name", "kind", "values", "unknown", "unit", "range", "missing")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of a row."""

    name: str
    kind: str = "float"
    values: tuple[str | float, ...] = ()  # of a category: numbers stand for themselves, texts for their position
    unknown: str = "refused"
    unit: str = ""
    range: tuple[float, float] | None = None  # of the training data
    missing: str = "refused"

    @property
    def has_texts(self) -> bool:
        """Whether it is a category of texts."""
        return bool(self.values) and isinstance(self.values[0], str)

    def to_json(self) -> dict[str, Any]:
        """Return the keys that are set, as the manifest holds them."""
        keys: dict[str, Any] = {"name": self.name, "kind": self.kind, "missing": self.missing}
        if self.values:
            keys["values"] = list(self.values)
        if self.unknown != UNKNOWN[0]:
            keys["unknown"] = self.unknown
        if self.unit:
            keys["unit"] = self.unit
        if self.range:
            keys["range"] = list(self.range)
        return keys


def parse(features: Any) -> tuple[Feature, ...]:
    """Return the features in a manifest's `input` or in a user's file; raise ValueError with every mistake."""
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise ValueError("features is not an array of objects")
    mistakes = [f"feature {place}: {text}" for place, feature in enumerate(features) for text in _mistakes(feature)]
    names = [str(feature.get("name")) for feature in features]
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    mistakes += [f"{name[:80]!r} is the name of several features" for name in repeated]
    if mistakes:
        raise ValueError("; ".join(mistakes[:20]))
    return tuple(Feature(**{key: _frozen(value) for key, value in feature.items()}) for feature in features)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _mistakes(feature: dict[str, Any]) -> list[str]:
    mistakes = [f"{key[:80]!r} is not known; known are {', '.join(KEYS)}" for key in feature if key not in KEYS]
    name, kind, unit = feature.get("name"), feature.get("kind", "float"), feature.get("unit", "")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        mistakes.append(f"name must be a printable text of 1 to {MAX_NAME} characters")
    if kind not in KINDS:
        mistakes.append(f"kind must be one of {', '.join(KINDS)}")
    if not isinstance(unit, str) or len(unit) > MAX_NAME or not unit.isprintable():
        mistakes.append(f"unit must be a printable text of at most {MAX_NAME} characters")
    if feature.get("missing", MISSING[0]) not in MISSING:
        mistakes.append(f"missing must be one of {', '.join(MISSING)}")
    if (unknown := feature.get("unknown", UNKNOWN[0])) not in UNKNOWN or (
        unknown != UNKNOWN[0] and not _has_texts(feature)
    ):
        mistakes.append(f"unknown must be one of {', '.join(UNKNOWN)}, and belongs to a category of texts")
    if (limits := feature.get("range")) is not None and not _is_range(limits):
        mistakes.append("range must be two numbers, the smaller one first")
    if ("values" in feature) != (kind == "category") or not _are_values(feature.get("values", [""])):
        mistakes.append("values must be different texts or different numbers, and belong to the kind category")
    return mistakes


def _has_texts(feature: dict[str, Any]) -> bool:
    values = feature.get("values")
    return isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)


def _is_range(limits: Any) -> bool:
    return isinstance(limits, list) and len(limits) == 2 and all(map(_is_number, limits)) and limits[0] <= limits[1]


def _are_values(values: Any) -> bool:
    if not isinstance(values, list) or not values or len(values) > 100_000:
        return False
    same = all(map(_is_number, values)) or all(isinstance(value, str) and len(value) <= MAX_NAME for value in values)
    return same and len({*values}) == len(values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
