"""Proves that the services read and evaluate a forest exactly as scikit-learn does, before it is published."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.classifier.artifact.loading import ForestError, load
from apps.classifier.forest import Forest
from training.errors import TrainingError


def read(artifact: Path, content: bytes | None = None) -> Forest:
    """Return the forest in a .joblib file (or in its `content`) as the services read it, without running the file."""
    try:
        return load(artifact, content)
    except ForestError as error:
        raise TrainingError(f"{error} Nothing is published.") from None


def require(flat: Forest, rows: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    """Raise TrainingError unless `flat` gives exactly the `expected` (n, classes) probabilities for `rows`."""
    actual = flat.evaluate(rows)
    different = np.flatnonzero((actual != expected).any(axis=1))
    if different.size:
        raise TrainingError(
            f"The services' probabilities differ from scikit-learn's for {different.size} of {len(rows)} rows, first "
            f"for row {different[0]}: {actual[different[0]].tolist()} instead of {expected[different[0]].tolist()}. "
            "Nothing is published. Report this with the versions of scikit-learn and numpy."
        )
