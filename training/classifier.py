"""Trains a random forest on images of digits and publishes it as one version of a model."""

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from models import publishing
from models.manifest import Manifest
from training import evaluate, mnist, parity
from training.libraries import versions
from training.progress import say, step

PORTION = 0.1  # of the trees are grown between two lines of progress


@dataclass(frozen=True)
class Options:
    """What `python -m training classifier` is asked for."""

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
        digits = mnist.load(options.data_dir)
    training, held_out = evaluate.split(digits.labels, options.train_ratio, options.seed)
    forest = grow(options, evaluate.features(digits.images[training]), digits.labels[training])
    images, labels = digits.images[held_out], digits.labels[held_out]
    with step(f"evaluating on {len(held_out)} held-out images"):
        pixels = evaluate.features(images)
        probabilities = forest.predict_proba(pixels)
        metrics = evaluate.metrics(forest.classes_, labels, probabilities)
    say(f"accuracy {metrics['accuracy']:.4f}")
    split = {"train_ratio": options.train_ratio, "seed": options.seed, "stratify": True}
    counts = {"train": len(training), "test": len(held_out)}
    about = describe(forest) | {
        "data": digits.identity() | {"split": split | counts, "seed": options.seed},
        "metrics": metrics,
        "probes": evaluate.probes(images, labels, forest.classes_, probabilities),
    }
    with step(f"publishing {artifact}"), publishing.staging(options.models_dir) as folder:
        staged = folder / artifact.name
        joblib.dump(forest, staged)  # uncompressed: the service reads it without a decompressor's risks
        parity.require(parity.read(staged), pixels, probabilities)
        return publishing.publish(staged, artifact, force=options.force, **about)


def grow(options: Options, pixels: np.ndarray, labels: np.ndarray) -> RandomForestClassifier:
    """Return a fitted forest, equal to that of one call of `fit`; grown in portions to show progress."""
    forest = RandomForestClassifier(
        max_depth=options.max_depth, random_state=options.seed, n_jobs=options.n_jobs, warm_start=True
    )
    goal = options.n_estimators
    with step(f"training {goal} trees of depth {options.max_depth or 'unlimited'} on {len(pixels)} images"):
        for trees in sorted({goal, *range(0, goal, max(1, round(goal * PORTION)))} - {0}):
            forest.set_params(n_estimators=trees).fit(pixels, labels)
            say(f"{trees} of {goal} trees")
    return forest.set_params(warm_start=False, n_jobs=None)


def describe(forest) -> dict:
    """Return the parts of a manifest that a fitted forest tells by itself."""
    return {
        "engine": "sklearn-forest",
        "input": {"shape": [forest.n_features_in_], "dtype": "float32", "range": [0, 1]},
        "classes": [str(name) for name in forest.classes_],
        "hyperparameters": {"class": type(forest).__name__} | _plain(forest.get_params(deep=False)),
        "libraries": versions("scikit-learn", "numpy", "joblib"),
    }


def _plain(settings: dict) -> dict:
    return {
        key: value if isinstance(value, str | int | float | None) else repr(value) for key, value in settings.items()
    }
