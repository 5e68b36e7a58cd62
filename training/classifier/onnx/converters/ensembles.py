"""Converters of forests, boosted trees and votes: how each adds up its members' answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.base import BaseEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)  # fmt: skip

from training.classifier.onnx.converters import trees
from training.classifier.onnx.converters.graph import Graph

# Steps whose results are the same to the last bit: one rounding an operation, or a table.
EXACT = {
    SimpleImputer, MissingIndicator, OneHotEncoder, OrdinalEncoder, TargetEncoder,
    StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler,
}  # fmt: skip
# Of a threshold: HistGradientBoosting's are values of its training data, and those that a power or a sum computes may
# differ in their last bits here.
MARGIN = 1e-12
LIGHTGBM_LOGARITHMS = {"poisson", "gamma", "tweedie"}  # whose margins are logarithms of values
LIGHTGBM_OBJECTIVES = {
    "binary", "multiclass", "regression", "regression_l1", "huber", "fair", "quantile", "mape", *LIGHTGBM_LOGARITHMS,
}  # fmt: skip


def is_computed(inputs: Sequence[Any]) -> bool:
    """Return whether these variables are results of steps that another library may round otherwise."""
    makers = [maker for variable in inputs for maker in variable.operators_outputs_]
    models = [maker.raw_operator for maker in makers if isinstance(maker.raw_operator, BaseEstimator)]
    return any(type(model) not in EXACT for model in models) or any(is_computed(maker.inputs) for maker in makers)


def forest(scope: Any, operator: Any, container: Any) -> None:
    """Decision trees and forests: the mean of the trees' leaves, compared in float32."""
    graph = Graph(scope, operator, container)
    members = getattr(graph.model, "estimators_", [graph.model])
    values = graph.leaves([trees.of_scikit_learn(member) for member in members], single=True)
    total = graph.add("ReduceSum", [values, graph.constant([1], TensorProto.INT64)], keepdims=0)
    mean = graph.add("Div", [total, graph.constant([[float(len(members))]])], 14)
    _answer(graph, mean)


def gradient_boosting(scope: Any, operator: Any, container: Any) -> None:
    """GradientBoosting: the prior, and each stage's leaf times the learning rate, compared in float32."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    if not isinstance(model.init_, str) and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NotImplementedError("GradientBoosting with an estimator of its own as `init`")
    count, members = model.estimators_.shape[1], model.estimators_.ravel().tolist()
    prior = model._raw_predict_init(np.zeros((1, model.n_features_in_)))
    values = graph.leaves([trees.of_scikit_learn(member) for member in members], single=True)
    total = graph.summed(values, np.arange(len(members)) % count, count)
    scaled = graph.add("Mul", [total, graph.constant([[float(model.learning_rate)]])], 14)
    margins = graph.add("Add", [scaled, graph.constant(prior.reshape(1, -1))], 14)
    if hasattr(model, "classes_") and model.loss == "exponential":
        margins = graph.add("Mul", [margins, graph.constant([[2.0]])], 14)
    _answer(graph, margins, count)


def histograms(scope: Any, operator: Any, container: Any) -> None:
    """HistGradientBoosting: the baseline and each stage's leaf, compared in float64."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    if model._preprocessor is not None:
        raise NotImplementedError("HistGradientBoosting that takes categories; encode them by OneHotEncoder")
    count = model.n_trees_per_iteration_
    margin = MARGIN if is_computed(operator.inputs) else 0.0
    members = [trees.of_histograms(tree, margin) for stage in model._predictors for tree in stage]
    total = graph.summed(graph.leaves(members, single=False), np.arange(len(members)) % count, count)
    margins = graph.add(
        "Add", [total, graph.constant(np.asarray(model._baseline_prediction, float).reshape(1, -1))], 14
    )
    if not hasattr(model, "classes_") and model.loss in ("poisson", "gamma"):
        margins = graph.add("Exp", [margins])
    _answer(graph, margins, count)


def lightgbm(scope: Any, operator: Any, container: Any) -> None:
    """LightGBM: the sum of each class's leaves, compared in float64."""
    graph = Graph(scope, operator, container)
    model = graph.model.booster_.dump_model()
    objective, *options = model["objective"].split()
    if model["average_output"] or objective not in LIGHTGBM_OBJECTIVES or "sqrt" in options:
        known = ", ".join(sorted(LIGHTGBM_OBJECTIVES))
        rule = f"LightGBM's objective {model['objective'][:80]!r}, or its boosting 'rf'"
        raise NotImplementedError(f"{rule}. Train it with boosting 'gbdt' and one of {known}")
    members, count = trees.of_lightgbm(model), model["num_tree_per_iteration"]
    margins = graph.summed(graph.leaves(members, single=False), np.arange(len(members)) % count, count)
    _answer(graph, graph.add("Exp", [margins]) if objective in LIGHTGBM_LOGARITHMS else margins, count)


def voting(scope: Any, operator: Any, container: Any) -> None:
    """Soft votes of classifiers: the weighted mean of their probabilities."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    weights = np.array(model._weights_not_none or [1.0] * len(model.estimators_), np.float64)
    total = ""
    for member, weight in zip(model.estimators_, weights / weights.sum(), strict=True):
        inner = scope.declare_local_operator(_alias(member), member)
        inner.inputs.append(operator.inputs[0])
        for name, tensor in (("label", operator.outputs[0].type), ("probabilities", operator.outputs[1].type)):
            inner.outputs.append(scope.declare_local_variable(name, type(tensor)()))
        double = graph.add("Cast", [inner.outputs[1].full_name], to=TensorProto.DOUBLE)
        part = graph.add("Mul", [double, graph.constant([[float(weight)]])], 14)
        total = graph.add("Add", [total, part], 14) if total else part
    graph.classified(total)


def _alias(model: Any) -> str:
    from skl2onnx._supported_operators import sklearn_operator_name_map

    return str(sklearn_operator_name_map[type(model)])


def _answer(graph: Graph, values: str, margins: int | None = None) -> None:
    """End with probabilities and labels of a classifier, whose `margins` these are if given, or with the values."""
    if hasattr(graph.model, "classes_"):
        graph.classified(values if margins is None else graph.probabilities(values, margins))
    else:
        graph.answered(values, graph.outputs[0])
