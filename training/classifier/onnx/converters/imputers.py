"""Converters of what fills in or marks missing values, in any precision; skl2onnx has float32, and other texts."""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import StringTensorType
from sklearn.impute import MissingIndicator, SimpleImputer

from apps.classifier.onnx.inputs import MISSING
from training.classifier.onnx.converters.graph import Graph

APART = "use make_union(make_pipeline(SimpleImputer(strategy='most_frequent'), ENCODER), MissingIndicator())"


def imputer_shape(operator: Any) -> None:
    """Set the type of the output; raise NotImplementedError for texts beside indicators."""
    model, first = operator.raw_operator, operator.inputs[0].type
    if isinstance(first, StringTensorType) and model.add_indicator:
        raise NotImplementedError(f"a SimpleImputer of texts with add_indicator=True; {APART}")
    width = len(_kept(model)) + (len(model.indicator_.features_) if model.add_indicator else 0)
    operator.outputs[0].type = type(first)([None, width])


def imputer(scope: Any, operator: Any, container: Any) -> None:
    """SimpleImputer: its statistics in the place of missing values, then the indicators."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    kept = _kept(model)
    missing, statistics = _missing(graph, graph.rows, operator.inputs[0].type, model.missing_values), model.statistics_
    if isinstance(operator.inputs[0].type, StringTensorType):
        held = graph.texts([[str(text) for text in statistics[kept]]])
    else:
        held = graph.constant(np.asarray(statistics[kept], np.float64)[None], graph.number)
    filled = graph.add("Where", [_columns(graph, missing, kept), held, _columns(graph, graph.rows, kept)], 16)
    parts = [filled]
    if model.add_indicator:
        parts.append(graph.add("Cast", [_columns(graph, missing, model.indicator_.features_)], to=graph.number))
    graph.add("Concat", parts, axis=1, output=graph.outputs[0])


def indicator_shape(operator: Any) -> None:
    """Set the shape of the output, whose type the parser has set."""
    operator.outputs[0].type = type(operator.outputs[0].type)([None, len(operator.raw_operator.features_)])


def indicator(scope: Any, operator: Any, container: Any) -> None:
    """MissingIndicator: 1 where a value is missing, of the columns that it chose."""
    graph, model = Graph(scope, operator, container), operator.raw_operator
    masks = [_missing(graph, value.full_name, value.type, model.missing_values) for value in operator.inputs]
    chosen = _columns(graph, graph.add("Concat", masks, axis=1), model.features_)
    number = graph.number_of(operator.outputs[0].type)
    graph.add("Cast", [chosen], output=graph.outputs[0], to=number)


def _kept(model: SimpleImputer) -> np.ndarray:
    """Return the places of the columns that a SimpleImputer keeps: not those that were always missing."""
    lacking = np.array([value is None or value != value for value in model.statistics_])
    return np.flatnonzero(~lacking | model.keep_empty_features)


def _missing(graph: Graph, values: str, dtype: Any, missing: Any) -> str:
    """Return the name of bool (n, width): where `values` are `missing`."""
    is_nothing = not isinstance(missing, str) and (missing is None or missing != missing)
    if isinstance(dtype, StringTensorType):
        return graph.add("Equal", [values, graph.texts([MISSING if is_nothing else missing])], 19)
    if is_nothing:
        return graph.add("IsNaN", [values])
    return graph.add("Equal", [values, graph.constant(float(missing), graph.number_of(dtype))], 19)


def _columns(graph: Graph, values: str, places: Any) -> str:
    return graph.add("Gather", [values, graph.constant(places, TensorProto.INT64)], axis=1)


IMPUTERS = {SimpleImputer: (imputer_shape, imputer)}
INDICATORS = {MissingIndicator: (indicator_shape, indicator)}
