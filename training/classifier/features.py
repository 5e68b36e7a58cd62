"""Learns what a row of a forest is: from the names that it keeps, a CSV of its training data, and a JSON file."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from apps.classifier.forest import Forest
from models import features
from models.artifact import read_file
from models.features import Feature
from training.errors import TrainingError

MNIST_PIXELS = 784
MAX_FILE_BYTES = 1024**3
NOTHING = {"", "na", "nan", "null", "none", "<na>"}  # what a CSV has in place of a missing value, in lower case
BOOLEANS = {"true": True, "false": False}


def are_pixels(flat: Forest) -> bool:
    """Return whether a forest without names of features takes images of MNIST's size, from 0 to 1."""
    thresholds = flat.threshold[np.isfinite(flat.threshold)]
    unit = not thresholds.size or 0 <= thresholds.min() <= thresholds.max() <= 1
    return bool(flat.classes) and not flat.feature_names and flat.n_features == MNIST_PIXELS and bool(unit)


class Model(Protocol):
    """What is known of a model's rows."""

    @property
    def feature_names(self) -> tuple[str, ...]: ...
    @property
    def n_features(self) -> int: ...


def learn(
    flat: Model,
    takes_missing: bool,
    sample: Path | None,
    described: Path | None,
    vocabulary: Mapping[str, tuple[str | float, ...]] = MappingProxyType({}),
) -> tuple[Feature, ...]:
    """Return the features of `flat`, each as the model, then `sample`, then `described` tell of it.

    `sample` is a CSV of training data with a header, `described` JSON of objects with Feature's fields;
    `vocabulary` has the values that the model knows of features. Raises TrainingError for a file that does not fit the
    model.
    """
    explicit = _described(described) if described else {}
    columns = read_columns(sample) if sample else {}
    vocabulary = {
        name: values for name, values in vocabulary.items() if _are_categories(values, explicit.get(name, {}))
    }
    declared = {name: {"kind": "category"} for name in vocabulary} | explicit
    names = flat.feature_names or _names_from_files(flat.n_features, explicit, described, columns, sample)
    _require_known(explicit, names, described)
    known = {name: Feature(name=name, missing="null" if takes_missing else "refused") for name in names}
    if sample:
        known = _sampled(sample, columns, names, declared, takes_missing)
    for name in vocabulary.keys() & known.keys():
        known[name] = replace(known[name], kind="category", values=vocabulary[name], range=None)
    merged = [{**feature.to_json(), **explicit.get(name, {})} for name, feature in known.items()]
    try:
        learnt = features.parse([_without_values(keys) for keys in merged])
    except ValueError as error:
        subject = f"'{described or sample}'" if described or sample else "The frame that the model was fitted on"
        raise TrainingError(f"{subject} does not describe the features: {error}.") from None
    if not takes_missing and (wrong := [feature.name for feature in learnt if feature.missing != "refused"]):
        raise TrainingError(f"The model takes no missing values, and {wrong[0]!r} may be missing in '{described}'.")
    return learnt


def _are_categories(values: Sequence[str | float], explicit: Mapping[str, Any]) -> bool:
    """Return whether what a model knows of a feature makes it a category: numbers may be described otherwise."""
    return isinstance(values[0], str) or explicit.get("kind", "category") == "category"


def _names_from_files(
    count: int, explicit: dict[str, Any], described: Path | None, columns: dict[str, Any], sample: Path | None
) -> tuple[str, ...]:
    """Return names for a model without any: those of the JSON, of the CSV's header, or positions."""
    if described:
        if len(explicit) != count:
            rule = f"describes {len(explicit)} features, and the model takes {count} without names"
            raise TrainingError(f"'{described}' {rule}. Describe each, in their order.")
        return tuple(explicit)
    if sample:
        if len(columns) != count:
            rule = f"has {len(columns)} columns, and the model takes {count} features without names"
            raise TrainingError(f"'{sample}' {rule}. Leave out the others, such as the target.")
        return tuple(columns)
    return tuple(f"x{number}" for number in range(count))


def _require_known(explicit: dict[str, Any], names: Sequence[str], path: Path | None) -> None:
    if unknown := [*explicit.keys() - {*names}]:
        rule = f"describes {', '.join(map(repr, unknown[:5]))}, which the model does not take"
        raise TrainingError(f"'{path}' {rule}; it takes {', '.join(map(repr, names[:12]))}.")


def _without_values(keys: dict[str, Any]) -> dict[str, Any]:
    """Drop the range of what has values instead."""
    return {key: value for key, value in keys.items() if key != "range" or keys["kind"] in ("float", "int")}


def _described(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a JSON file says of each feature, by its name."""
    try:
        described = json.loads(read_file(path, MAX_FILE_BYTES))
        features.parse(described)
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"'{path}' does not describe features: {error}.") from None
    return {keys["name"]: keys for keys in described}


def _sampled(
    path: Path, columns: dict[str, list[str]], names: Sequence[str], explicit: dict[str, Any], takes_missing: bool
) -> dict[str, Feature]:
    """Return the features that the columns of a CSV show."""
    if lacking := [name for name in names if name not in columns]:
        rule = f"has no column {', '.join(map(repr, lacking[:5]))}"
        raise TrainingError(f"'{path}' {rule}; its header is {', '.join(map(repr, list(columns)[:12]))}.")
    mistakes: list[str] = []
    kinds = {name: keys.get("kind") for name, keys in explicit.items()}
    learnt = {name: _column(name, columns[name], kinds.get(name), takes_missing, mistakes) for name in names}
    if mistakes:
        raise TrainingError(f"'{path}' is not what the model was fitted on: {'; '.join(mistakes[:5])}.")
    return learnt


def read_columns(path: Path) -> dict[str, list[str]]:
    try:
        header, *rows = csv.reader(io.StringIO(read_file(path, MAX_FILE_BYTES).decode("utf-8-sig"), newline=""))
        if not rows or len({*header}) < len(header) or any(len(row) != len(header) for row in rows):
            raise ValueError("it needs a header of different names, and rows of as many values")
    except (OSError, ValueError, csv.Error) as error:
        raise TrainingError(f"'{path}' is not a CSV that can be read: {error}.") from None
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def _column(name: str, texts: Sequence[str], kind: Any, takes_missing: bool, mistakes: list[str]) -> Feature:
    present = [text.strip() for text in texts if text.strip().lower() not in NOTHING]
    feature = Feature(name=name, missing="optional" if len(present) < len(texts) else "refused")
    if len(present) < len(texts) and not takes_missing:
        mistakes.append(f"{name!r} has missing values, which the model does not take")
    if kind in ("category", "bool"):
        return feature
    if present and all(text.lower() in BOOLEANS for text in present):
        return replace(feature, kind="bool")
    for learnt, number in (("int", int), ("float", float)):
        if (values := _numbers(present, number)) is not None:
            limits = (min(values), max(values)) if values else None
            return replace(feature, kind=learnt if values else "float", range=limits)
    text = next(text for text in present if _numbers([text], float) is None)
    mistakes.append(f"{name!r} holds {text[:40]!r}, and the model takes numbers; its --features may name categories")
    return feature


def _numbers(texts: Sequence[str], number: Callable[[str], float]) -> list[float] | None:
    try:
        values = [number(text) for text in texts]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None
