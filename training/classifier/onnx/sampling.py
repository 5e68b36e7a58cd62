"""Rows to compare a converted model with its original on: those of a sample, and others from the features' ranges."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.features import Feature
from training.classifier.features import BOOLEANS, NOTHING, read_columns

SEED, DRAWN, SAMPLED = 0, 1000, 5000
SHARE = 0.1  # of missing and of unknown values, where they are allowed
UNKNOWN = "a text that no model knows"


def requests(features: Sequence[Feature], sample: Path | None) -> list[list[Any]]:
    """Return rows as clients send them: up to 5,000 of the CSV `sample`, if any, then 1,000 drawn ones."""
    random, columns = np.random.default_rng(SEED), read_columns(sample) if sample else {}
    names = [feature.name for feature in features]
    texts = [columns[name] for name in names] if {*names} <= columns.keys() else list(columns.values())
    texts = texts or [[] for _ in names]
    known = [list(map(_reader(feature), column[:SAMPLED])) for feature, column in zip(features, texts, strict=True)]
    drawn = [[_draw(feature, random) for _ in range(DRAWN)] for feature in features]
    return [list(row) for row in (*zip(*known, strict=True), *zip(*drawn, strict=True))]


def _reader(feature: Feature) -> Callable[[str], Any]:
    numbers: dict[str, Callable[[str], Any]] = {"float": float, "int": int, "bool": lambda text: BOOLEANS[text.lower()]}
    if feature.kind == "category":
        read: Callable[[str], Any] = str if isinstance(feature.values[0], str) else float
    else:
        read = numbers[feature.kind]
    return lambda text: None if text.strip().lower() in NOTHING else read(text.strip())


def _draw(feature: Feature, random: np.random.Generator) -> Any:
    if feature.missing != "refused" and random.random() < SHARE:
        return None
    if feature.unknown == "accepted" and random.random() < SHARE:
        return UNKNOWN
    if feature.kind == "category":
        return feature.values[int(random.integers(len(feature.values)))]
    if feature.kind == "bool":
        return bool(random.integers(2))
    low, high = feature.range or (-1.0, 1.0)
    return int(random.integers(int(low), int(high) + 1)) if feature.kind == "int" else float(random.uniform(low, high))
