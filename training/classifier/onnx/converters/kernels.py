"""Kernels between rows and the vectors that a model keeps, in float64."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto

from training.classifier.onnx.converters.graph import Graph

LISTED = "linear, poly, rbf, sigmoid, cosine and laplacian"


def add(graph: Graph, vectors: Any, name: Any, options: Mapping[str, float]) -> str:
    """Return the name of float64 (n, m): a kernel of scikit-learn between the rows and `vectors` (m, width).

    `options` are its gamma, degree and coef0. Raises NotImplementedError for other kernels.
    """
    held = np.asarray(vectors.toarray() if hasattr(vectors, "toarray") else vectors, np.float64)
    gamma, coef0, degree = (graph.constant(float(options.get(key, 0))) for key in ("gamma", "coef0", "degree"))
    if name == "linear":
        return _products(graph, graph.doubles, held)
    if name in ("poly", "polynomial"):
        return graph.add("Pow", [_scaled(graph, held, gamma, coef0), degree])
    if name == "sigmoid":
        return graph.add("Tanh", [_scaled(graph, held, gamma, coef0)])
    if name == "rbf":
        return _exponential(graph, squares(graph, held), gamma)
    if name == "laplacian":
        apart = graph.add(
            "ReduceL1", [_differences(graph, held), graph.constant([2], TensorProto.INT64)], 18, keepdims=0
        )
        return _exponential(graph, apart, gamma)
    if name == "cosine":
        rows, axis = graph.doubles, graph.constant([1], TensorProto.INT64)
        lengths = graph.add("ReduceL2", [rows, axis], 18, keepdims=1)
        is_zero = graph.add("Equal", [lengths, graph.constant(0.0)])
        unit = graph.add("Div", [rows, graph.add("Where", [is_zero, graph.constant(1.0), lengths], 16)], 14)
        norms = np.linalg.norm(held, axis=1, keepdims=True)
        return _products(graph, unit, held / np.where(norms == 0, 1, norms))
    raise NotImplementedError(f"the kernel {str(name)[:80]!r}; train with one of {LISTED}")


def squares(graph: Graph, vectors: np.ndarray) -> str:
    """Return the name of float64 (n, m): squared Euclidean distances.

    Both are moved by the mean of the vectors first, so that squares of large numbers do not cancel digits.
    """
    mean, axis = vectors.mean(axis=0), graph.constant([1], TensorProto.INT64)
    rows, held = graph.add("Sub", [graph.doubles, graph.constant(mean)], 14), vectors - mean
    of_rows = graph.add("ReduceSumSquare", [rows, axis], 18, keepdims=1)
    both = graph.add("Add", [of_rows, graph.constant(np.square(held).sum(axis=1)[None])], 14)
    crossed = _products(graph, rows, 2 * held)
    return graph.add("Max", [graph.add("Sub", [both, crossed], 14), graph.constant(0.0)])


def distances(graph: Graph, vectors: Any) -> str:
    """Return the name of float64 (n, m): Euclidean distances to `vectors` (m, width), of their differences.

    The square root would enlarge what `squares` rounds.
    """
    return graph.add("ReduceL2", [_differences(graph, vectors), graph.constant([2], TensorProto.INT64)], 18, keepdims=0)


def _products(graph: Graph, rows: str, vectors: np.ndarray) -> str:
    return graph.add("MatMul", [rows, graph.constant(vectors.T)])


def _scaled(graph: Graph, vectors: np.ndarray, gamma: str, coef0: str) -> str:
    products = graph.add("Mul", [_products(graph, graph.doubles, vectors), gamma], 14)
    return graph.add("Add", [products, coef0], 14)


def _exponential(graph: Graph, distances: str, gamma: str) -> str:
    return graph.add("Exp", [graph.add("Neg", [graph.add("Mul", [distances, gamma], 14)])])


def _differences(graph: Graph, vectors: Any) -> str:
    """Return the name of float64 (n, m, width)."""
    rows = graph.add("Unsqueeze", [graph.doubles, graph.constant([1], TensorProto.INT64)])
    return graph.add("Sub", [rows, graph.constant(np.asarray(vectors, np.float64)[None])], 14)
