"""Trains a random forest on images of digits, evaluates it and publishes it as one version of a model."""

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models import publishing
from models.manifest import Manifest
from training.classifier import evaluate, parity
from training.classifier.describe import describe
from training.mnist import dataset
from training.progress import say, step

PROGRESS_SHARE = 0.1  # of the trees, between two lines of progress


@dataclass(frozen=True)
class Options:
    """The options of `python -m training classifier`."""

    version_id: str
    n_estimators: int
    max_depth: int | None
    train_ratio: float
    seed: int
    n_jobs: int
    data_dir: str | None
    models_dir: Path
    force: bool


def train(options: Options) -> Manifest:
    """Load, split, train, evaluate and publish; return the manifest."""
    artifact = options.models_dir / f"{options.version_id}.joblib"
    publishing.require_free(artifact, force=options.force)
    with step("loading the images"):
        digits = dataset.load(options.data_dir)
    train_rows, test_rows = evaluate.split(digits.labels, options.train_ratio, options.seed)
    forest = grow(options, evaluate.features(digits.images[train_rows]), digits.labels[train_rows])
    images, labels = digits.images[test_rows], digits.labels[test_rows]
    with step(f"evaluating on {len(test_rows)} held-out images"):
        pixels = evaluate.features(images)
        probabilities = forest.predict_proba(pixels)
        metrics = evaluate.metrics(forest.classes_, labels, probabilities)
    say(f"accuracy {metrics['accuracy']:.4f}")
    split = {"train_ratio": options.train_ratio, "seed": options.seed, "stratify": True}
    counts = {"train": len(train_rows), "test": len(test_rows)}
    description = describe(forest) | {
        "data": digits.identity() | {"split": split | counts, "seed": options.seed},
        "metrics": metrics,
        "probes": evaluate.probes(images, labels, forest.classes_, probabilities),
    }
    with step(f"publishing {artifact}"), publishing.staging(options.models_dir) as folder:
        staged = folder / artifact.name
        joblib.dump(forest, staged)  # uncompressed, so that the service reads it without decompressing untrusted data
        parity.require(parity.read(staged), pixels, probabilities)
        return publishing.publish(staged, artifact, force=options.force, **description)


def grow(options: Options, pixels: NDArray[np.float32], labels: NDArray[np.uint8]) -> RandomForestClassifier:
    """Return a forest fitted to `pixels` (n, features) and `labels` (n,).

    It equals the result of a single `fit`, but grows in portions to report progress.
    """
    forest = RandomForestClassifier(
        max_depth=options.max_depth, random_state=options.seed, n_jobs=options.n_jobs, warm_start=True
    )
    total = options.n_estimators
    portion = max(1, round(total * PROGRESS_SHARE))
    with step(f"training {total} trees of depth {options.max_depth or 'unlimited'} on {len(pixels)} images"):
        for trees in [*range(portion, total, portion), total]:
            forest.set_params(n_estimators=trees).fit(pixels, labels)
            say(f"{trees} of {total} trees")
    return forest.set_params(warm_start=False, n_jobs=None)
