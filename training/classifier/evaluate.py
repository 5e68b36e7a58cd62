"""Splits the data, measures a forest on the held-out images, and picks the probes that services are tested with."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

from training.errors import TrainingError

SCALE = 255


class Metrics(TypedDict):
    """The manifest's `metrics`; rows of `confusion` are the true classes."""

    accuracy: float
    per_class: dict[str, dict[str, float]]
    confusion: list[list[int]]


def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return pixels of 0 to 255 as float32 of 0 to 1: float32(pixel) / 255. Services must scale in the same way."""
    return images.astype(np.float32) / np.float32(SCALE)


def split(labels: NDArray[np.uint8], train_ratio: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the training rows and of the test rows; the split is stratified by label."""
    try:
        train, test = train_test_split(
            np.arange(len(labels)), train_size=train_ratio, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise TrainingError(
            f"{len(labels)} images cannot be split by --train-ratio {train_ratio}: {error} "
            "Choose another ratio, or give more images of each label."
        ) from error
    return train, test


def metrics(classes: np.ndarray, labels: NDArray[np.uint8], probabilities: NDArray[np.float64]) -> Metrics:
    """Return the metrics of `probabilities` (n, classes) for the true `labels` (n,)."""
    predicted = classes[probabilities.argmax(axis=1)]
    precision, recall, _, support = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "per_class": {
            str(name): {"precision": float(p), "recall": float(r), "support": int(n)}
            for name, p, r, n in zip(classes, precision, recall, support, strict=True)
        },
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def probes(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], classes: np.ndarray, probabilities: NDArray[np.float64]
) -> list[dict[str, object]]:
    """Return one probe per class: its first image as a request to /predict, with scikit-learn's answer.

    `features` are pixels of 0 to 255, as `scale` says; `probabilities` are float64, in the order of `classes`.
    """
    first = [int(np.flatnonzero(labels == name)[0]) for name in classes if name in labels]
    return [
        {
            "features": images[row].tolist(),
            "scale": SCALE,
            "label": str(classes[probabilities[row].argmax()]),
            "probabilities": probabilities[row].tolist(),
        }
        for row in first
    ]
