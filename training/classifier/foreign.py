"""Describes a forest that was trained elsewhere, and proves that the services evaluate it as scikit-learn does."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.classifier.artifact import unpickle
from apps.classifier.forest import Forest
from training.classifier import parity, sklearn_forest
from training.classifier.describe import describe
from training.errors import TrainingError

SEED = 0
ROWS, PROBES = 1000, 10


def describe_file(path: Path, content: bytes) -> dict[str, object]:
    """Return the manifest's keys for the forest in a .joblib file, without running the file.

    Raises TrainingError if the services would refuse the forest or evaluate it differently.
    """
    flat = parity.read(path, content)
    if not flat.classes:
        raise TrainingError(f"'{path}' is a regressor, and classifiers are served. Nothing is published.")
    _require_unit_range(flat, path)
    fitted = sklearn_forest.build(unpickle.read(content), flat)
    rows = near_thresholds(flat)
    probabilities = sklearn_forest.answers(fitted, rows)
    parity.require(flat, rows, probabilities)
    probes = [
        {"features": row.tolist(), "label": flat.classes[answer.argmax()], "probabilities": answer.tolist()}
        for row, answer in zip(rows[:PROBES], probabilities, strict=False)
    ]
    return describe(fitted) | {"probes": probes}


def near_thresholds(flat: Forest) -> NDArray[np.float32]:
    """Return float32 (1000, n_features); each value equals a threshold of its feature.

    On these values a comparison in the wrong precision gives a wrong result.
    """
    random, rows = np.random.default_rng(SEED), np.zeros((ROWS, flat.n_features), np.float32)
    inner = np.isfinite(flat.threshold)
    for feature in np.unique(flat.feature[inner]):
        rows[:, feature] = random.choice(flat.threshold[inner & (flat.feature == feature)], ROWS)
    return rows


def _require_unit_range(flat: Forest, path: Path) -> None:
    thresholds = flat.threshold[np.isfinite(flat.threshold)]
    if thresholds.size and not 0 <= thresholds.min() <= thresholds.max() <= 1:
        raise TrainingError(
            f"'{path}' was trained on values outside 0 to 1: its thresholds go from {thresholds.min():g} to "
            f"{thresholds.max():g}, and the service takes 0 to 1. Train it on values divided by their range."
        )
