"""Converters of what fills in missing values, in any precision; skl2onnx has float32, and other texts."""

from typing import Any

import numpy as np
from skl2onnx.common.data_types import StringTensorType
from sklearn.impute import SimpleImputer

from apps.classifier.onnx.inputs import MISSING
from training.classifier.onnx.converters.graph import Graph


def shape(operator: Any) -> None:
    """Set the type of the output; raise NotImplementedError for what is not converted."""
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    kept = operator.raw_operator
    if kept.add_indicator or len(kept.statistics_) != width or len(kept.get_feature_names_out()) != width:
        raise NotImplementedError("SimpleImputer with an indicator, or of columns that are all missing")
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """SimpleImputer: its statistics in the place of missing values."""
    graph, statistics = Graph(scope, operator, container), operator.raw_operator.statistics_
    if isinstance(operator.inputs[0].type, StringTensorType):
        missing = graph.add("Equal", [graph.rows, graph.texts([MISSING])], 19)
        held = graph.texts([[str(text) for text in statistics]])
    else:
        missing = graph.add("IsNaN", [graph.rows])
        held = graph.constant(np.asarray(statistics, np.float64)[None], graph.number)
    graph.add("Where", [missing, held, graph.rows], 16, output=graph.outputs[0])


CONVERTERS = {SimpleImputer: (shape, convert)}
