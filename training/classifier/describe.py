"""Describes a fitted forest for its manifest."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from models.features import Feature
from training.libraries import versions


class Forest(Protocol):
    """What the forests of scikit-learn have in common, once they are fitted; classifiers have `classes_` too."""

    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, object]: ...


def describe(forest: Forest, features: Sequence[Feature] = ()) -> dict[str, object]:
    """Return the keys of a manifest that follow from a fitted forest alone: one of `features`, or of pixels."""
    shape = {"shape": [forest.n_features_in_], "dtype": "float32"}
    table = {"kind": "table", **shape, "features": [feature.to_json() for feature in features]}
    classes: np.ndarray = getattr(forest, "classes_", np.array([]))
    return {
        "engine": "sklearn-forest",
        "input": table if features else {"kind": "pixels", **shape, "range": [0, 1]},
        "classes": [str(name) for name in classes],
        "hyperparameters": {"class": type(forest).__name__} | _plain(forest.get_params(deep=False)),
        "libraries": versions("scikit-learn", "numpy", "joblib"),
    }


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """Return `settings` with values that JSON can hold; other values become their `repr`."""
    return {
        key: value if isinstance(value, str | int | float | None) else repr(value) for key, value in settings.items()
    }
