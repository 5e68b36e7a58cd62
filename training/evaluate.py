"""Measures a forest on images that it has not seen, and picks the probes for the services."""

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

from training.errors import TrainingError

SCALE = 255


def features(images: np.ndarray) -> np.ndarray:
    """Return uint8 pixels as float32 from 0 to 1: float32(pixel) / 255, which every service must repeat."""
    return images.astype(np.float32) / SCALE


def split(labels: np.ndarray, train_ratio: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices to train on and those held out; each label has its share in both."""
    try:
        return train_test_split(np.arange(len(labels)), train_size=train_ratio, random_state=seed, stratify=labels)
    except ValueError as error:
        raise TrainingError(
            f"{len(labels)} images cannot be split by --train-ratio {train_ratio}: {error} "
            "Choose another ratio, or give more images of each label."
        ) from error


def metrics(classes: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Return accuracy, precision, recall and support of each class, and the confusion (rows: true class)."""
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


def probes(images: np.ndarray, labels: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> list[dict]:
    """Return the first image of each class as a request for /predict, with what scikit-learn answers to it.

    `features` are pixels 0 to 255, as `scale` says; `probabilities` are float64, in the order of classes.
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
