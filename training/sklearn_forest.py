"""Makes scikit-learn's own model of a forest that was trained elsewhere, without running its file.

`joblib.load` would run it, and would believe what it says of its arrays. Here scikit-learn is given numbers that the
services' reader has read, and `flatten` has checked.
"""

import math
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from sklearn.tree._tree import NODE_DTYPE, Tree

from apps.classifier.artifact.inert import RANDOM, Inert, plain
from apps.classifier.forest import Forest

CLASSES = {
    kind.__name__: kind
    for kind in (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier)
}


def build(model: Inert, flat: Forest) -> Any:
    """Return the estimator that `model` stands for, of which `flat` was made; it computes in one thread."""
    fitted = _estimator(model, flat)
    if "estimators_" not in model.state:
        return _grown(fitted, model, flat)
    fitted.estimators_ = [_grown(_estimator(tree, flat), tree, flat) for tree in model.state["estimators_"]]
    return fitted


def _estimator(model: Inert, flat: Forest) -> Any:
    kind = CLASSES[type(model).__name__]
    parameters = {name: _parameter(model.state[name]) for name in kind().get_params(deep=False) if name in model.state}
    fitted = kind(**parameters | ({"n_jobs": None} if "n_jobs" in parameters else {}))
    fitted.classes_, fitted.n_classes_ = np.array(flat.classes), len(flat.classes)
    fitted.n_outputs_, fitted.n_features_in_ = 1, flat.n_features
    return fitted


def _grown(fitted: Any, model: Inert, flat: Forest) -> Any:
    state = model.state["tree_"].state
    nodes = np.empty(state["nodes"].size, NODE_DTYPE)
    for name in NODE_DTYPE.names:
        nodes[name] = state["nodes"][name]
    fitted.tree_ = Tree(flat.n_features, np.array([len(flat.classes)], np.intp), 1)
    parts = {"max_depth": flat.depth, "node_count": nodes.size, "nodes": nodes}
    fitted.tree_.__setstate__(parts | {"values": np.ascontiguousarray(state["values"])})
    return fitted


def _parameter(value: Any) -> Any:
    """What the manifest tells of a setting: numbers and texts, and those of classes; of others the type."""
    if isinstance(value, dict):
        return {_item(key): _item(weight) for key, weight in value.items()}
    return _item(value)


def _item(value: Any) -> str | int | float | None:
    if isinstance(value := plain(value), Inert):
        return "RandomState" if value.name in RANDOM else type(value).__name__
    usual = type(value) in (str, int, bool, type(None)) or (type(value) is float and math.isfinite(value))
    return value if usual else type(value).__name__
