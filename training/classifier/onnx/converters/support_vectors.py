"""Converters of support vector machines in float64; skl2onnx writes them in float32.

Their source: libsvm's svm.cpp as scikit-learn has it, predict_values and predict_probability.
"""

from itertools import combinations
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.svm import SVC, NuSVC

from training.classifier.onnx.converters import kernels
from training.classifier.onnx.converters.graph import Graph

MIN_PROBABILITY = 1e-7  # of one class against another
TOLERANCE = 0.005  # of the coupling, divided by the number of classes
# Of the coupling: libsvm allows 100, and 5 were the most in 12,000 trials with up to 20 classes. What has not converged
# becomes NaN, so that it is never answered.
ITERATIONS = 8


def regressor(scope: Any, operator: Any, container: Any) -> None:
    """SVR and NuSVR: the weighted kernels of the support vectors."""
    graph = Graph(scope, operator, container)
    graph.answered(decisions(graph, graph.model), graph.outputs[0])


def classifier(scope: Any, operator: Any, container: Any) -> None:
    """SVC and NuSVC: its label is that of the votes, and need not be the most probable."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    values = decisions(graph, model)
    votes = _votes(graph, values, len(model.classes_))
    if container.get_options(model, {"raw_scores": False})["raw_scores"]:
        probabilities = _raw_scores(graph, values, votes)
    elif not model._effective_probability:
        raise NotImplementedError("an SVC without probabilities; fit CalibratedClassifierCV around it")
    else:
        probabilities = _coupled(graph, _pairs(graph, values))
    ranked = _raw_scores(graph, values, votes) if model.break_ties and len(model.classes_) > 2 else votes
    graph.classified(probabilities, ranked)


def decisions(graph: Graph, model: Any) -> str:
    """Return the name of float64 (n, pairs): libsvm's value for each pair of classes, above 0 for the first of them.

    A regressor's is its one value.
    """
    options = {"gamma": model._gamma, "coef0": model.coef0, "degree": model.degree}
    kernel = kernels.add(graph, model.support_vectors_, model.kernel, options)
    dual = model._dual_coef_.toarray() if hasattr(model._dual_coef_, "toarray") else model._dual_coef_
    weights = _weights(model, dual) if isinstance(model, (SVC, NuSVC)) else dual.T
    products = graph.add("MatMul", [kernel, graph.constant(weights)])
    return graph.add("Add", [products, graph.constant(model._intercept_)], 14)


def _weights(model: Any, dual: np.ndarray) -> np.ndarray:
    """Return (vectors, pairs): the weight of each support vector in the value of each pair of classes."""
    owners = np.repeat(np.arange(len(model.classes_)), model.n_support_)
    columns = []
    for first, second in combinations(range(len(model.classes_)), 2):
        of_first, of_second = np.where(owners == first, dual[second - 1], 0), np.where(owners == second, dual[first], 0)
        columns.append(of_first + of_second)
    return np.array(columns).T


def _of_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (pairs, classes) with ones at the first class of each pair, and with ones at the second."""
    first, second = np.array([*combinations(range(count), 2)]).T
    return np.eye(count)[first], np.eye(count)[second]


def _votes(graph: Graph, values: str, count: int) -> str:
    """Return the name of float64 (n, classes): how many pairs each class wins."""
    first, second = _of_pairs(count)
    wins = graph.add("Cast", [graph.add("Greater", [values, graph.constant(0.0)])], to=TensorProto.DOUBLE)
    won = graph.add("MatMul", [wins, graph.constant(first - second)])
    return graph.add("Add", [won, graph.constant(second.sum(axis=0)[None])], 14)


def _raw_scores(graph: Graph, values: str, votes: str) -> str:
    """Return the name of decision_function's values (n, classes), and of two classes' those and their negatives."""
    if len(graph.model.classes_) == 2:
        return graph.add("Concat", [values, graph.add("Neg", [values])], axis=1)
    if graph.model.decision_function_shape != "ovr":
        raise NotImplementedError("an SVC with decision_function_shape 'ovo'; train it with 'ovr'")
    first, second = _of_pairs(len(graph.model.classes_))
    sums = graph.add("MatMul", [values, graph.constant(first - second)])
    most = graph.add("Add", [graph.add("Abs", [sums]), graph.constant(1.0)], 14)
    part = graph.add("Div", [sums, graph.add("Mul", [most, graph.constant(3.0)], 14)], 14)
    return graph.add("Add", [votes, part], 14)


def _pairs(graph: Graph, values: str) -> str:
    """Return the name of float64 (n, classes, classes): how probable each class is against each other, 0 with itself.

    Source: J. Platt, Probabilistic outputs for support vector machines, 1999.
    """
    model = graph.model
    margins = graph.add("Mul", [values, graph.constant(model._probA[None])], 14)
    margins = graph.add("Add", [margins, graph.constant(model._probB[None])], 14)
    probable = graph.add("Sigmoid", [graph.add("Neg", [margins])])
    limits = [graph.constant(limit) for limit in (MIN_PROBABILITY, 1 - MIN_PROBABILITY)]
    bounded = graph.add("Clip", [probable, *limits])
    opposite = graph.add("Sub", [graph.constant(1.0), bounded], 14)
    first_pair = graph.add("Gather", [bounded, graph.constant([0], TensorProto.INT64)], axis=1)
    nothing, count = graph.add("Mul", [first_pair, graph.constant(0.0)], 14), len(model.classes_)
    places = np.full((count, count), 2 * len(model._probA))
    for place, (first, second) in enumerate(combinations(range(count), 2)):
        places[first, second], places[second, first] = place, place + len(model._probA)
    both = graph.add("Concat", [bounded, opposite, nothing], axis=1)
    return graph.add("Gather", [both, graph.constant(places, TensorProto.INT64)], axis=1)


def _coupled(graph: Graph, pairs: str) -> str:
    """Return the name of float64 (n, classes): probabilities of the classes for those of the pairs.

    They are the second method of T.-F. Wu, C.-J. Lin, R. Weng, Probability estimates for multi-class classification by
    pairwise coupling, 2004, stopped where libsvm stops.
    """
    count = len(graph.model.classes_)
    axis, last = graph.constant([1], TensorProto.INT64), graph.constant([2], TensorProto.INT64)
    identity, nan = np.eye(count), graph.constant(np.nan)
    diagonal = graph.add("ReduceSumSquare", [pairs, axis], 18, keepdims=0)
    crossed = graph.add("Mul", [pairs, graph.add("Transpose", [pairs], perm=[0, 2, 1])], 14)
    on_diagonal = graph.add("Mul", [graph.add("Unsqueeze", [diagonal, axis]), graph.constant(identity[None])], 14)
    matrix = graph.add("Sub", [on_diagonal, crossed], 14)
    nothing = graph.add("Mul", [diagonal, graph.constant(0.0)], 14)
    steps = [_step(graph, diagonal, matrix, nothing, place) for place in range(count)]
    estimate = graph.add("Add", [nothing, graph.constant(1 / count)], 14)
    for iteration in range(ITERATIONS):
        products = graph.add("MatMul", [matrix, graph.add("Unsqueeze", [estimate, last])])
        products = graph.add("Squeeze", [products, last])
        total = graph.add("ReduceSum", [graph.add("Mul", [estimate, products], 14), axis], keepdims=1)
        errors = graph.add("Abs", [graph.add("Sub", [products, total], 14)])
        largest = graph.add("ReduceMax", [errors, axis], 18, keepdims=1)
        is_done = graph.add("Less", [largest, graph.constant(TOLERANCE / count)])
        improved = nan if iteration == ITERATIONS - 1 else _improved(graph, steps, estimate, products, total)
        estimate = graph.add("Where", [is_done, estimate, improved], 16)
    return estimate


def _step(graph: Graph, diagonal: str, matrix: str, nothing: str, place: int) -> tuple[str, str]:
    """Return what the step for one class takes: its element on the diagonal, and what its change adds to the state."""
    of_class = graph.add("Gather", [diagonal, graph.constant([place], TensorProto.INT64)], axis=1)
    row = graph.add("Gather", [matrix, graph.constant(place, TensorProto.INT64)], axis=1)
    own = graph.add("Add", [nothing, graph.constant(np.eye(len(graph.model.classes_))[place])], 14)
    return of_class, graph.add("Concat", [own, row], axis=1)


def _improved(graph: Graph, steps: list[tuple[str, str]], estimate: str, products: str, total: str) -> str:
    """Return the name of (n, classes): the estimate after a step for each class.

    The state is the estimate, then the matrix times it; `total` is the product of both.
    """
    one, count = graph.constant(1.0), len(steps)
    state = graph.add("Concat", [estimate, products], axis=1)
    for place, (of_class, added) in enumerate(steps):
        product = graph.add("Gather", [state, graph.constant([count + place], TensorProto.INT64)], axis=1)
        change = graph.add("Div", [graph.add("Sub", [total, product], 14), of_class], 14)
        scale = graph.add("Add", [change, one], 14)
        grown = graph.add("Mul", [change, graph.add("Add", [total, product], 14)], 14)
        total = graph.add("Div", [graph.add("Add", [total, grown], 14), graph.add("Mul", [scale, scale], 14)], 14)
        state = graph.add("Add", [state, graph.add("Mul", [change, added], 14)], 14)
        state = graph.add("Div", [state, scale], 14)
    return graph.add("Gather", [state, graph.constant(np.arange(count), TensorProto.INT64)], axis=1)
