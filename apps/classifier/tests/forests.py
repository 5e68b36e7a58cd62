"""Small forests for tests, trained by scikit-learn in a moment and published in a registry."""

from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from models import publishing

PIXELS = 784


def images(count: int, seed: int = 0) -> np.ndarray:
    """Return uint8 (count, 784): noise with a bright bar whose position is the class, `row % 10`."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (count, PIXELS), dtype=np.uint8)
    for row in range(count):
        start = 78 * (row % 10)
        pixels[row, start : start + 60] = random.integers(100, 256, 60)
    return pixels


def unit(pixels: np.ndarray) -> np.ndarray:
    """Return the features that the training makes of pixels, float32 from 0 to 1."""
    return pixels.astype(np.float32) / 255


def digits_forest(trees: int = 12, depth: int | None = 5, **options) -> RandomForestClassifier:
    """Return a fitted forest for `images`."""
    pixels = images(300)
    forest = RandomForestClassifier(trees, **{"max_depth": depth, "random_state": 1, **options})
    return forest.fit(unit(pixels), np.arange(300) % 10)


def publish(forest: RandomForestClassifier, artifact: Path, **keys) -> Path:
    """Write artifact and manifest with two probes; `keys` replace those of the manifest."""
    pixels = images(2, seed=9)
    probabilities = forest.predict_proba(unit(pixels))
    probes = [
        {
            "features": row.tolist(),
            "scale": 255,
            "label": str(forest.classes_[answer.argmax()]),
            "probabilities": answer.tolist(),
        }
        for row, answer in zip(pixels, probabilities, strict=True)
    ]
    known = {
        "engine": "sklearn-forest",
        "input": {"shape": [forest.n_features_in_], "dtype": "float32", "range": [0, 1]},
        "classes": [str(label) for label in forest.classes_],
        "probes": probes,
    }
    with publishing.staging(artifact.parent) as folder:
        joblib.dump(forest, folder / artifact.name)
        publishing.publish(folder / artifact.name, artifact, **{**known, **keys})
    return artifact
