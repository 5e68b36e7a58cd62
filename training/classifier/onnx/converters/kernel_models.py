"""Converters of regressors and transformers of kernels and distances, in float64."""

from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge

from training.classifier.onnx.converters import kernels
from training.classifier.onnx.converters.graph import Graph


def ridge_shape(operator: Any) -> None:
    """Set the type of the output."""
    dual = operator.raw_operator.dual_coef_
    operator.outputs[0].type = type(operator.inputs[0].type)([None, 1 if dual.ndim == 1 else dual.shape[1]])


def ridge(scope: Any, operator: Any, container: Any) -> None:
    """KernelRidge: the weighted kernels of the rows of training."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    kernel = kernels.add(graph, model.X_fit_, model.kernel, _options(model, model.X_fit_))
    dual = model.dual_coef_.reshape(len(model.dual_coef_), -1)
    graph.answered(graph.add("MatMul", [kernel, graph.constant(dual)]), graph.outputs[0])


def transformer_shape(operator: Any) -> None:
    """Set the type of the output."""
    width = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def nystroem(scope: Any, operator: Any, container: Any) -> None:
    """Nystroem: the kernels of some rows of training, normalised."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    kernel = kernels.add(graph, model.components_, model.kernel, _options(model, model.components_))
    graph.answered(graph.add("MatMul", [kernel, graph.constant(model.normalization_.T)]), graph.outputs[0])


def sampler(scope: Any, operator: Any, container: Any) -> None:
    """RBFSampler: cosines of random directions.

    Source: A. Rahimi, B. Recht, Random features for large-scale kernel machines, 2007.
    """
    graph, model = Graph(scope, operator, container), operator.raw_operator
    angles = graph.add("MatMul", [graph.doubles, graph.constant(model.random_weights_)])
    cosines = graph.add("Cos", [graph.add("Add", [angles, graph.constant(model.random_offset_)], 14)], 7)
    factor = graph.constant(float(np.sqrt(2 / model.n_components)))
    graph.answered(graph.add("Mul", [cosines, factor], 14), graph.outputs[0])


def clusters(scope: Any, operator: Any, container: Any) -> None:
    """KMeans in front of a model: the distances to its centres."""
    graph = Graph(scope, operator, container)
    graph.answered(kernels.distances(graph, graph.model.cluster_centers_), graph.outputs[0])


def _options(model: Any, vectors: Any) -> dict[str, float]:
    """Return the parameters of a kernel, with scikit-learn's defaults for those that are None."""
    defaults = {"gamma": 1 / vectors.shape[1], "degree": 3, "coef0": 1}
    return {key: default if getattr(model, key) is None else getattr(model, key) for key, default in defaults.items()}


REGRESSORS = {KernelRidge: (ridge_shape, ridge)}
TRANSFORMERS = {
    Nystroem: (transformer_shape, nystroem),
    RBFSampler: (transformer_shape, sampler),
    KMeans: (transformer_shape, clusters),
    MiniBatchKMeans: (transformer_shape, clusters),
}
