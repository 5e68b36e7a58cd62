"""Converters of outlier detectors: a row is answered by `predict`, -1 for an outlier or 1, and `decision_function`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length
from sklearn.linear_model import SGDOneClassSVM
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from training.classifier.onnx.converters import kernels, support_vectors, trees
from training.classifier.onnx.converters.graph import Graph


def shape(operator: Any) -> None:
    """Set the type of the output."""
    operator.outputs[0].type = type(operator.inputs[0].type)([None, 2])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write a detector: its value is negative for outliers, and 0 is one for OneClassSVM only."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    values, zero = DECISIONS[type(model)](graph, model), graph.constant(0.0)
    is_inlier = graph.add("Greater" if isinstance(model, OneClassSVM) else "GreaterOrEqual", [values, zero], 16)
    labels = graph.add("Where", [is_inlier, graph.constant(1.0), graph.constant(-1.0)], 16)
    graph.answered(graph.add("Concat", [labels, values], axis=1), graph.outputs[0])


def _isolation(graph: Graph, model: Any) -> str:
    """Return the name of float64 (n, 1): from the depths of the leaves, added tree after tree.

    Source: F. T. Liu, K. M. Ting, Z.-H. Zhou, Isolation forest, 2008.
    """
    members = []
    for number, (member, features) in enumerate(zip(model.estimators_, model.estimators_features_, strict=True)):
        tree = trees.of_scikit_learn(member)
        depths = model._decision_path_lengths[number] + model._average_path_length_per_tree[number] - 1.0
        columns = np.where(tree.left < 0, 0, features[tree.feature])
        members.append(trees.Tree(tree.left, tree.right, columns, tree.threshold, tree.missing_left, depths[:, None]))
    depths = graph.add("CumSum", [graph.leaves(members, single=True), graph.constant(1, TensorProto.INT64)], 14)
    total = graph.add("Gather", [depths, graph.constant(-1, TensorProto.INT64)], axis=1)
    most = len(members) * float(_average_path_length([model._max_samples])[0])
    exponents = graph.add("Div", [total, graph.constant(-most)], 14)
    scores = graph.add("Pow", [graph.constant(2.0), exponents])
    return graph.add("Sub", [graph.add("Neg", [scores]), graph.constant(float(model.offset_))], 14)


def _local_density(graph: Graph, model: Any) -> str:
    """Return the name of float64 (n, 1): the density of the nearest rows of training beside the row's own.

    Source: M. Breunig, H.-P. Kriegel, R. Ng, J. Sander, LOF: identifying density-based local outliers, 2000.
    """
    if model.effective_metric_ not in ("euclidean", "minkowski") or model.effective_metric_params_.get("p", 2) != 2:
        raise NotImplementedError(
            "LocalOutlierFactor of other distances than Euclidean; train it with metric='euclidean'"
        )
    count, axis = model.n_neighbors_, graph.constant([1], TensorProto.INT64)
    distances = kernels.distances(graph, model._fit_X)
    nearest, places = graph.several("TopK", [distances, graph.constant([count], TensorProto.INT64)], 2, 11, largest=0)
    of_neighbours = graph.add("Gather", [graph.constant(model._distances_fit_X_[:, count - 1]), places], axis=0)
    reach = graph.add("ReduceMean", [graph.add("Max", [nearest, of_neighbours]), axis], 18, keepdims=1)
    density = graph.add("Div", [graph.constant(1.0), graph.add("Add", [reach, graph.constant(1e-10)], 14)], 14)
    neighbours = graph.add("Gather", [graph.constant(model._lrd), places], axis=0)
    ratio = graph.add("ReduceMean", [graph.add("Div", [neighbours, density], 14), axis], 18, keepdims=1)
    return graph.add("Sub", [graph.add("Neg", [ratio]), graph.constant(float(model.offset_))], 14)


def _ellipse(graph: Graph, model: Any) -> str:
    """Return the name of float64 (n, 1): the squared Mahalanobis distance below its limit."""
    rows = graph.add("Sub", [graph.doubles, graph.constant(model.location_)], 14)
    product = graph.add("MatMul", [rows, graph.constant(model.get_precision())])
    squares = graph.add("Mul", [product, rows], 14)
    distance = graph.add("ReduceSum", [squares, graph.constant([1], TensorProto.INT64)], keepdims=1)
    return graph.add("Sub", [graph.add("Neg", [distance]), graph.constant(float(model.offset_))], 14)


def _linear(graph: Graph, model: Any) -> str:
    products = graph.add("MatMul", [graph.doubles, graph.constant(np.asarray(model.coef_).reshape(-1, 1))])
    return graph.add("Sub", [products, graph.constant(np.asarray(model.offset_, np.float64))], 14)


DECISIONS: dict[type, Callable[[Graph, Any], str]] = {
    IsolationForest: _isolation,
    LocalOutlierFactor: _local_density,
    EllipticEnvelope: _ellipse,
    OneClassSVM: support_vectors.decisions,
    SGDOneClassSVM: _linear,
}
