"""Describes a forest that was trained elsewhere, and proves that the services evaluate it as scikit-learn does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.classifier.artifact import unpickle
from apps.classifier.forest import Forest
from apps.classifier.table import Table
from models.features import Feature
from training.classifier import features, parity, sklearn_forest
from training.classifier.describe import describe
from training.progress import say

SEED = 0
ROWS, PROBES = 1000, 10
PROBE_VALUES = 100_000  # of all probes together: a manifest has a bound on its size
MISSING_SHARE = 0.1


def describe_file(
    path: Path, content: bytes, sample: Path | None = None, described: Path | None = None
) -> dict[str, object]:
    """Return the manifest's keys for the forest in a .joblib or pickle file, without running the file.

    `sample` and `described` tell of its features, as in `features.learn`. Raises TrainingError if the services would
    refuse the forest or evaluate it differently.
    """
    flat = parity.read(path, content)
    model = unpickle.read(content)
    fitted = sklearn_forest.build(model, flat)
    takes_missing = sklearn_forest.takes_missing(model, fitted)
    rows = near_thresholds(flat, takes_missing)
    parity.require(flat, rows, sklearn_forest.answers(fitted, rows))
    if sample is None and described is None and features.are_pixels(flat):
        say("its rows are taken as images of 28 x 28 pixels from 0 to 1; for a table, give --features or --sample")
        requests: list[list[Any]] = [row.tolist() for row in near_thresholds(flat, False)[:PROBES]]
        return describe(fitted) | {"probes": _probes(flat, fitted, requests, np.array(requests, np.float32))}
    learnt = features.learn(flat, takes_missing, sample, described)
    requests = _requests(flat, learnt)
    encoded = Table(learnt).rows([((), request) for request in requests])
    return describe(fitted, learnt) | {"probes": _probes(flat, fitted, requests, encoded)}


def near_thresholds(flat: Forest, with_missing: bool) -> NDArray[np.float32]:
    """Return float32 (1000, n_features); each value equals a threshold of its feature, and some are missing.

    On these values a comparison in the wrong precision gives a wrong result.
    """
    random, rows = np.random.default_rng(SEED), np.zeros((ROWS, flat.n_features), np.float32)
    inner = np.isfinite(flat.threshold)
    for feature in np.unique(flat.feature[inner]):
        rows[:, feature] = random.choice(flat.threshold[inner & (flat.feature == feature)], ROWS)
    if with_missing:
        rows[ROWS // 2 :][random.random((ROWS - ROWS // 2, flat.n_features)) < MISSING_SHARE] = np.nan
    return rows


def _requests(flat: Forest, learnt: Sequence[Feature]) -> list[list[Any]]:
    """Return rows as clients send them, whose numbers are near thresholds, and some of which are missing."""
    count = max(1, min(PROBES, PROBE_VALUES // flat.n_features))
    random, rows = np.random.default_rng(SEED), near_thresholds(flat, False)[:count]
    requests = [
        [_value(feature, float(number), random) for feature, number in zip(learnt, row, strict=True)] for row in rows
    ]
    for request in requests[count // 2 :]:
        for place, feature in enumerate(learnt):
            if feature.missing != "refused" and random.random() < MISSING_SHARE:
                request[place] = None
    return requests


def _value(feature: Feature, number: float, random: np.random.Generator) -> Any:
    if feature.kind == "category":
        return feature.values[int(random.integers(len(feature.values)))]
    if feature.kind == "bool":
        return bool(random.integers(2))
    return round(number) if feature.kind == "int" else number


def _probes(flat: Forest, fitted: Any, requests: list[list[Any]], rows: NDArray[np.float32]) -> list[dict[str, object]]:
    """Return each request with scikit-learn's answer to it."""
    answers = sklearn_forest.answers(fitted, rows)
    parity.require(flat, rows, answers)
    if not flat.classes:
        values = [answer if len(answer) > 1 else answer[0] for answer in answers.tolist()]
        return [{"features": request, "value": value} for request, value in zip(requests, values, strict=True)]
    return [
        {"features": request, "label": flat.classes[answer.argmax()], "probabilities": answer.tolist()}
        for request, answer in zip(requests, answers, strict=True)
    ]
