"""Proves that the services read and evaluate a forest as scikit-learn does, before anyone relies on it."""

from pathlib import Path

import numpy as np

from apps.classifier.artifact.loading import ForestError, load
from apps.classifier.forest import Forest
from training.errors import TrainingError


def read(artifact: Path, content: bytes | None = None) -> Forest:
    """Return the forest as the services read it, of the file or its `content`, running nothing of it."""
    try:
        return load(artifact, content)
    except ForestError as error:
        raise TrainingError(f"{error} Nothing is published.") from None


def require(flat: Forest, rows: np.ndarray, expected: np.ndarray) -> None:
    """Raise TrainingError unless `flat` gives exactly the `expected` probabilities for float32 `rows`."""
    found = flat.predict_proba(rows)
    different = np.flatnonzero((found != expected).any(axis=1))
    if different.size:
        raise TrainingError(
            f"the services would answer {different.size} of {len(rows)} rows otherwise than scikit-learn, first "
            f"row {different[0]}: {found[different[0]].tolist()} for {expected[different[0]].tolist()}. "
            "Nothing is published. Report this with the versions of scikit-learn and numpy."
        )
