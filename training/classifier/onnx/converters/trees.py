"""Writes ensembles of trees in double precision, with the comparisons that each library makes.

ONNX finds the leaf of each tree; the leaves' values are then gathered and added in float64. skl2onnx and onnxmltools
add them in float32, and compare there what a scaler made of float64, which takes wrong branches.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

LESS_OR_EQUAL, LESS = "BRANCH_LEQ", "BRANCH_LT"
MAX_LEAVES = 2**24  # whose places float32 holds exactly: TreeEnsembleRegressor answers in float32


@dataclass(frozen=True)
class Tree:
    """The nodes of a tree; `left` is the child where the comparison holds, and negative in a leaf."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray  # (nodes, width)


def of_scikit_learn(estimator: Any) -> Tree:
    """Return the tree of a decision tree, whose values of a classifier are probabilities."""
    tree = estimator.tree_
    values = tree.value[:, 0, :] if hasattr(estimator, "classes_") else tree.value[:, :, 0]
    missing = np.asarray(tree.__getstate__()["nodes"]["missing_go_to_left"], bool)
    return Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, missing, values)


def of_histograms(predictor: Any, margin: float = 0.0) -> Tree:
    """Return a tree of HistGradientBoosting; raise NotImplementedError where it compares categories.

    Thresholds are raised by `margin`, relative to them.
    """
    nodes = predictor.nodes
    if nodes["is_categorical"].any():
        raise NotImplementedError("HistGradientBoosting that splits by categories; encode them by OneHotEncoder")
    left = np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64))
    right, values = nodes["right"].astype(np.int64), nodes["value"][:, None].astype(np.float64)
    thresholds = nodes["num_threshold"].copy()
    thresholds[np.isfinite(thresholds)] += margin * np.abs(thresholds[np.isfinite(thresholds)])
    return Tree(left, right, nodes["feature_idx"], thresholds, nodes["missing_go_to_left"] != 0, values)


def of_lightgbm(model: dict[str, Any]) -> list[Tree]:
    """Return the trees of a Booster's `dump_model`; raise NotImplementedError where they compare otherwise."""
    return [_of_lightgbm(tree["tree_structure"]) for tree in model["tree_info"]]


def _of_lightgbm(root: dict[str, Any]) -> Tree:
    nodes, rows = [root], []
    for node in nodes:  # which grows: children follow their parents
        if "leaf_value" in node:
            rows.append((-1, -1, 0, 0.0, False, node["leaf_value"]))
            continue
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise NotImplementedError("LightGBM with categories, or with zero as missing; encode them by OneHotEncoder")
        missing_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0  # None: as 0
        rows.append((len(nodes), len(nodes) + 1, node["split_feature"], node["threshold"], missing_left, 0.0))
        nodes += [node["left_child"], node["right_child"]]
    left, right, feature, threshold, missing, values = map(np.array, zip(*rows, strict=True))
    return Tree(left, right, feature, threshold, missing, values[:, None].astype(np.float64))


def add(scope: Any, container: Any, rows: str, trees: list[Tree], *, single: bool, mode: str = LESS_OR_EQUAL) -> str:
    """Add nodes for float64 `rows`; return the name of float64 (n, trees, width), the values of each tree's leaf.

    `single` rounds rows to float32 before they are compared.
    """
    names = {
        key: scope.get_unique_variable_name(key) for key in ("single", "double", "leaf", "place", "table", "values")
    }
    container.add_node(
        "Cast", rows, names["single"], op_version=13, to=TensorProto.FLOAT if single else TensorProto.DOUBLE
    )
    container.add_node("Cast", names["single"], names["double"], op_version=13, to=TensorProto.DOUBLE)
    attributes, table = _attributes(trees, mode)
    container.add_node(
        "TreeEnsembleRegressor", names["double"], names["leaf"], op_domain="ai.onnx.ml", op_version=3,
        name=scope.get_unique_operator_name("TreeEnsembleRegressor"), **attributes,
    )  # fmt: skip
    container.add_node("Cast", names["leaf"], names["place"], op_version=13, to=TensorProto.INT64)
    container.add_initializer(names["table"], TensorProto.DOUBLE, list(table.shape), table.ravel().tolist())
    container.add_node("Gather", [names["table"], names["place"]], names["values"], op_version=13, axis=0)
    return str(names["values"])


def _attributes(trees: list[Tree], mode: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return TreeEnsembleRegressor's attributes, with a target a tree: the place of a leaf in the returned table."""
    table = np.concatenate([tree.values[tree.left < 0] for tree in trees])
    if len(table) > MAX_LEAVES:
        raise NotImplementedError(f"trees of {len(table)} leaves together; at most {MAX_LEAVES} are written")
    numbers = [np.arange(len(tree.left)) for tree in trees]
    is_leaf = np.concatenate([tree.left < 0 for tree in trees])
    of_tree = np.repeat(np.arange(len(trees)), [len(tree.left) for tree in trees])

    def joined(name: str) -> np.ndarray:
        return np.where(is_leaf, 0, np.concatenate([getattr(tree, name) for tree in trees]))

    targets = of_tree[is_leaf].tolist()
    return {
        "nodes_treeids": of_tree.tolist(),
        "nodes_nodeids": np.concatenate(numbers).tolist(),
        "nodes_featureids": joined("feature").tolist(),
        "nodes_modes": ["LEAF" if leaf else mode for leaf in is_leaf],
        "nodes_values_as_tensor": _doubles("nodes", joined("threshold")),
        "nodes_truenodeids": joined("left").tolist(),
        "nodes_falsenodeids": joined("right").tolist(),
        "nodes_missing_value_tracks_true": joined("missing_left").astype(int).tolist(),
        "target_treeids": targets,
        "target_ids": targets,
        "target_nodeids": np.concatenate(numbers)[is_leaf].tolist(),
        "target_weights_as_tensor": _doubles("places", np.arange(len(table))),
        "n_targets": len(trees),
        "post_transform": "NONE",
        "aggregate_function": "SUM",
    }, table


def _doubles(name: str, values: np.ndarray) -> Any:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values.astype(np.float64).tolist())
