"""Rebuilds scikit-learn's estimator from a forest that was trained elsewhere, without running its file.

`joblib.load` would execute the file's pickle and trust its array headers. This module passes scikit-learn only numbers
that the services' own reader has read and `flatten` has checked.
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
    estimator.__name__: estimator
    for estimator in (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier)
}


def build(model: Inert, flat: Forest) -> Any:
    """Return a fitted estimator for `model`, from which `flat` was made; it computes in one thread."""
    fitted = _estimator(model, flat)
    if "estimators_" not in model.state:
        return _with_tree(fitted, model, flat)
    fitted.estimators_ = [_with_tree(_estimator(tree, flat), tree, flat) for tree in model.state["estimators_"]]
    return fitted


def _estimator(model: Inert, flat: Forest) -> Any:
    estimator = CLASSES[type(model).__name__]
    names = estimator().get_params(deep=False)
    parameters = {name: _parameter(model.state[name]) for name in names if name in model.state}
    fitted = estimator(**parameters | ({"n_jobs": None} if "n_jobs" in parameters else {}))
    fitted.classes_, fitted.n_classes_ = np.array(flat.classes), len(flat.classes)
    fitted.n_outputs_, fitted.n_features_in_ = 1, flat.n_features
    return fitted


def _with_tree(fitted: Any, model: Inert, flat: Forest) -> Any:
    state = model.state["tree_"].state
    nodes = np.empty(state["nodes"].size, NODE_DTYPE)
    for name in NODE_DTYPE.names:
        nodes[name] = state["nodes"][name]
    fitted.tree_ = Tree(flat.n_features, np.array([len(flat.classes)], np.intp), 1)
    parts = {"max_depth": flat.depth, "node_count": nodes.size, "nodes": nodes}
    fitted.tree_.__setstate__(parts | {"values": np.ascontiguousarray(state["values"])})
    return fitted


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
