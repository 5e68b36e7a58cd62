"""Converter of XGBoost: it computes in float32, tree after tree, and so does the graph, for the same answers.

Its source: src/predictor/cpu_predictor.cc adds the leaves, src/common/math.h has the sigmoid and the softmax.
"""

import json
from typing import Any

import numpy as np
from onnx import TensorProto

from training.classifier.onnx.converters import trees
from training.classifier.onnx.converters.graph import Graph
from training.classifier.onnx.converters.trees import Tree

LOGITS = {"binary:logistic", "reg:logistic"}
LOGARITHMS = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"}
PROBABILITIES = {*LOGITS, "multi:softprob", "multi:softmax"}  # of a classifier
MAX_EXPONENT = 88.7  # of the sigmoid: beyond it expf overflows


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write a classifier or regressor; raise NotImplementedError for what is not converted."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    booster, is_classifier = model.get_booster(), hasattr(model, "classes_")
    if getattr(model, "early_stopping_rounds", None) is not None:
        booster = booster[: model.best_iteration + 1]
    members, groups, base, objective = _read(booster)
    if is_classifier and objective not in PROBABILITIES:
        raise NotImplementedError(f"XGBClassifier's objective {objective!r}; train it with one of {_listed()}")
    if objective in LOGITS and len(base) > 1:
        raise NotImplementedError("an XGBoost of several outputs or labels at once; train one for each")
    margins = _margins(graph, members, groups, base)
    if is_classifier:
        graph.classified(_softmax(graph, margins) if len(base) > 1 else _both(graph, _sigmoid(graph, margins)))
    elif objective in LOGITS:
        graph.answered(_sigmoid(graph, margins), graph.outputs[0])
    else:
        graph.answered(_exp(graph, margins) if objective in LOGARITHMS else margins, graph.outputs[0])


def _listed() -> str:
    return ", ".join(sorted(PROBABILITIES))


def _read(booster: Any) -> tuple[list[Tree], np.ndarray, np.ndarray, str]:
    """Return the trees of a Booster, the output that each adds to, the margins that it starts with, the objective."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise NotImplementedError(f"XGBoost's {learner['gradient_booster']['name']}; train it with booster='gbtree'")
    model = learner["gradient_booster"]["model"]
    if any(tree["categories_nodes"] for tree in model["trees"]):
        raise NotImplementedError("XGBoost that splits by categories; encode them by OneHotEncoder")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"]):
        raise NotImplementedError("XGBoost's trees of several outputs; use multi_strategy='one_output_per_tree'")
    base = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float32).reshape(-1)
    objective = str(learner["objective"]["name"])
    if objective in LOGITS:
        base = -_log(1 / base - 1)
    elif objective in LOGARITHMS:
        base = _log(base)
    groups = np.array(model["tree_info"])
    return [_tree(tree) for tree in model["trees"]], groups, np.broadcast_to(base, int(groups.max()) + 1), objective


def _log(values: np.ndarray) -> np.ndarray:
    """Return float32 logarithms as the C library rounds them."""
    return np.log(values.astype(np.float64)).astype(np.float32)


def _tree(tree: dict[str, Any]) -> Tree:
    conditions = np.array(tree["split_conditions"], np.float32)
    return Tree(
        np.array(tree["left_children"]),
        np.array(tree["right_children"]),
        np.array(tree["split_indices"]),
        conditions.astype(np.float64),
        np.array(tree["default_left"], bool),
        conditions[:, None],
    )


def _margins(graph: Graph, members: list[Tree], groups: np.ndarray, base: np.ndarray) -> str:
    """Return the name of float32 (n, groups): from `base` on, each group's leaves added in the order of its trees."""
    order = np.argsort(groups, kind="stable").reshape(len(base), -1)
    for first, start in zip(order[:, 0], base, strict=True):
        members[first].values[:] += start  # in float32
    leaves = graph.leaves([members[place] for place in order.ravel()], single=True, mode=trees.LESS)
    shape = graph.constant([0, *order.shape], TensorProto.INT64)
    of_groups = graph.add("Cast", [graph.add("Reshape", [leaves, shape])], to=TensorProto.FLOAT)
    sums = graph.add("CumSum", [of_groups, graph.constant(2, TensorProto.INT64)], 14)  # adds one by one
    return graph.add("Gather", [sums, graph.constant(-1, TensorProto.INT64)], axis=2)


def _exp(graph: Graph, values: str) -> str:
    """Return the name of float32 exponentials, rounded once, as the C library's are nearly always."""
    double = graph.add("Exp", [graph.add("Cast", [values], to=TensorProto.DOUBLE)])
    return graph.add("Cast", [double], to=TensorProto.FLOAT)


def _sigmoid(graph: Graph, margins: str) -> str:
    one, most = (graph.constant([[number]], TensorProto.FLOAT) for number in (1.0, MAX_EXPONENT))
    exponential = _exp(graph, graph.add("Min", [graph.add("Neg", [margins]), most]))
    return graph.add("Div", [one, graph.add("Add", [exponential, one], 14)], 14)


def _both(graph: Graph, positive: str) -> str:
    """Return the name of the probabilities of two classes, for that of the second."""
    one = graph.constant([[1.0]], TensorProto.FLOAT)
    return graph.add("Concat", [graph.add("Sub", [one, positive], 14), positive], axis=1)


def _softmax(graph: Graph, margins: str) -> str:
    """Return the name of the softmax, whose sum is float64 until it divides."""
    classes = graph.constant([1], TensorProto.INT64)
    highest = graph.add("ReduceMax", [margins, classes], 18, keepdims=1)
    exponentials = _exp(graph, graph.add("Sub", [margins, highest], 14))
    double = graph.add("Cast", [exponentials], to=TensorProto.DOUBLE)
    total = graph.add("ReduceSum", [double, classes], keepdims=1)
    return graph.add("Div", [exponentials, graph.add("Cast", [total], to=TensorProto.FLOAT)], 14)
