"""Describes a fitted forest for its manifest."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from training.libraries import versions


class Forest(Protocol):
    """What the classifiers of scikit-learn have in common, once they are fitted."""

    n_features_in_: int
    classes_: np.ndarray

    def get_params(self, deep: bool = True) -> dict[str, object]: ...


def describe(forest: Forest) -> dict[str, object]:
    """Return the keys of a manifest that follow from a fitted forest alone."""
    return {
        "engine": "sklearn-forest",
        "input": {"shape": [forest.n_features_in_], "dtype": "float32", "range": [0, 1]},
        "classes": [str(name) for name in forest.classes_],
        "hyperparameters": {"class": type(forest).__name__} | _plain(forest.get_params(deep=False)),
        "libraries": versions("scikit-learn", "numpy", "joblib"),
    }


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """Return `settings` with values that JSON can hold; other values become their `repr`."""
    return {
        key: value if isinstance(value, str | int | float | None) else repr(value) for key, value in settings.items()
    }
