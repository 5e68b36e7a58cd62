"""Rebuilds scikit-learn's estimator from a forest that was trained elsewhere, without running its file.

`joblib.load` would execute the file's pickle and trust its array headers. This module passes scikit-learn only numbers
that the services' own reader has read and `flatten` has checked.
"""

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble, tree
from sklearn.tree._tree import NODE_DTYPE, Tree

from apps.classifier.artifact import trees
from apps.classifier.artifact.arrays import plain
from apps.classifier.artifact.inert import FORESTS, RANDOM, Inert
from apps.classifier.forest import Forest

# The versions since which each kind of model takes missing values; before, its nodes do not say where they go.
MISSING_SINCE = {"DecisionTree": (1, 3), "RandomForest": (1, 4), "ExtraTree": (1, 6), "ExtraTrees": (1, 6)}


def build(model: Inert, flat: Forest) -> Any:
    """Return a fitted estimator for `model`, from which `flat` was made; it computes in one thread."""
    fitted = _estimator(model, flat)
    if "estimators_" not in model.state:
        return _with_tree(fitted, model, flat)
    fitted.estimators_ = [_with_tree(_estimator(tree, flat), tree, flat) for tree in model.state["estimators_"]]
    return fitted


def answers(fitted: Any, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return scikit-learn's float64 (n, classes or outputs) for `rows`: probabilities, or a regressor's values."""
    if hasattr(fitted, "classes_"):
        probabilities: NDArray[np.float64] = fitted.predict_proba(rows)
        return probabilities
    values: NDArray[np.float64] = fitted.predict(rows).reshape(len(rows), -1)
    return values


def takes_missing(model: Inert, fitted: Any) -> bool:
    """Return whether the scikit-learn that saved `model`, from which `fitted` was built, answers missing values."""
    family = type(model).__name__.removesuffix("Classifier").removesuffix("Regressor")
    version = re.match(r"(\d+)\.(\d+)", str(plain(model.state.get("_sklearn_version"))))
    if version is None or (int(version[1]), int(version[2])) < MISSING_SINCE[family]:
        return False
    tree = getattr(fitted, "estimators_", [fitted])[0]
    return bool(tree.__sklearn_tags__().input_tags.allow_nan)


def _estimator(model: Inert, flat: Forest) -> Any:
    assert model.name in FORESTS
    estimator = getattr(ensemble, type(model).__name__, None) or getattr(tree, type(model).__name__)
    names = estimator().get_params(deep=False)
    parameters = {name: _parameter(model.state[name]) for name in names if name in model.state}
    fitted = estimator(**parameters | ({"n_jobs": None} if "n_jobs" in parameters else {}))
    fitted.n_outputs_, fitted.n_features_in_ = _outputs(flat), flat.n_features
    if flat.classes:
        fitted.classes_, fitted.n_classes_ = np.array(flat.classes, object), len(flat.classes)
    return fitted


def _with_tree(fitted: Any, model: Inert, flat: Forest) -> Any:
    width, is_classifier = flat.values.shape[1], bool(flat.classes)
    read, values = trees.parts(model.state["tree_"], width, is_classifier)
    nodes = np.empty(read.size, NODE_DTYPE)
    for name in NODE_DTYPE.names:
        nodes[name] = read[name]
    n_classes = np.full(_outputs(flat), len(flat.classes) or 1, np.intp)
    fitted.tree_ = Tree(flat.n_features, n_classes, _outputs(flat))
    shape = (nodes.size, 1, width) if is_classifier else (nodes.size, width, 1)
    state = {"max_depth": flat.depth, "node_count": nodes.size, "nodes": nodes}
    fitted.tree_.__setstate__(state | {"values": np.ascontiguousarray(values.reshape(shape))})
    return fitted


def _outputs(flat: Forest) -> int:
    return 1 if flat.classes else flat.values.shape[1]


def _parameter(value: object) -> object:
    """Return a setting as the manifest shows it: numbers, text and class weights; of anything else its type."""
    if isinstance(value, dict):
        return {_item(key): _item(weight) for key, weight in value.items()}
    return _item(value)


def _item(value: object) -> object:
    if isinstance(value := plain(value), Inert):
        return "RandomState" if value.name in RANDOM else type(value).__name__
    if value is None or type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value)):
        return value
    return type(value).__name__
