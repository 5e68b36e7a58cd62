"""Fits forests with the installed scikit-learn and saves each in several ways: `python sklearn_versions.py FOLDER`.

It runs in environments of old versions, so it imports nothing of ours. Beside each `<name>.<way>` lies `<name>.npz`
with rows and what this version answers for them, and rows with missing values where it answers those.
"""

import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn import ensemble, tree
from sklearn.datasets import load_diabetes, load_iris

CLASSES = ["RandomForest", "ExtraTrees", "DecisionTree", "ExtraTree"]


def pickled(model, path: Path, protocol: int) -> None:
    """Save a model by pickle."""
    path.write_bytes(pickle.dumps(model, protocol))


WAYS: dict[str, Callable[[Any, Path], object]] = {
    "joblib": lambda model, path: joblib.dump(model, path),
    "gz": lambda model, path: joblib.dump(model, path, compress=("gzip", 3)),
    **{f"p{n}": partial(pickled, protocol=n) for n in range(2, 6)},
}


def fitted():
    """Yield name, model and rows of each kind of forest, small and on natural values."""
    flowers, species = load_iris(return_X_y=True)
    numbers, sugar = load_diabetes(return_X_y=True)
    names = np.array([np.str_(name) for name in load_iris().target_names], object)[species]
    for name in CLASSES:
        forest: dict = {"n_estimators": 9} if hasattr(ensemble, name + "Classifier") else {}
        module = ensemble if forest else tree
        options = {"max_depth": 4, "random_state": 0, **forest}
        weights = {"class_weight": {"setosa": 1.3, "versicolor": 0.7, "virginica": 1}}
        yield (
            name + "Classifier",
            getattr(module, name + "Classifier")(**options, **weights).fit(flowers, names),
            flowers,
        )
        yield name + "Regressor", getattr(module, name + "Regressor")(**options).fit(numbers, sugar), numbers
    target = np.column_stack([sugar, -sugar])
    yield "several", ensemble.RandomForestRegressor(5, max_depth=3, random_state=0).fit(numbers, target), numbers


def answered(model, rows):
    """Return the probabilities, or a regressor's values, (n, classes or outputs)."""
    return model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows).reshape(len(rows), -1)


def main(folder: Path) -> None:
    """Save every forest in every way."""
    for name, model, rows in fitted():
        rows = rows.astype(np.float32)
        is_classifier = hasattr(model, "classes_")
        labels = model.predict(rows).astype(str) if is_classifier else []
        holes = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.float32(np.nan), rows)
        try:
            with_holes: dict = {"holes": holes, "hole_answers": answered(model, holes)}
        except ValueError:  # this version refuses missing values
            with_holes = {}
        np.savez(folder / f"{name}.npz", rows=rows, answers=answered(model, rows), labels=labels, **with_holes)
        for way, save in WAYS.items():
            save(model, folder / f"{name}.{way}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
