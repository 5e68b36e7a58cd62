"""Converter of TransformedTargetRegressor: its regressor, a pipeline too, then the inverse of the target's function."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from skl2onnx._parse import _parse_sklearn
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from training.classifier.onnx.converters.graph import Graph
from training.classifier.onnx.converters.preprocessing import FUNCTIONS

SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
REMEDY = "use numpy's functions, func=np.log1p and inverse_func=np.expm1, or a scaler"


def parse(scope: Any, model: Any, inputs: Sequence[Any], custom_parsers: Any = None) -> Any:
    """Declare the regressor, which takes the inputs, then the inverse, which takes what it answers."""
    values = _parse_sklearn(scope, model.regressor_, inputs, custom_parsers)[0]
    operator = scope.declare_local_operator(f"Own{type(model).__name__}", model)
    operator.inputs.append(values)
    operator.outputs.append(scope.declare_local_variable("variable", type(values.type)()))
    return operator.outputs


def shape(operator: Any) -> None:
    """Set the type of the output, which is that of the regressor's."""
    operator.outputs[0].type = operator.inputs[0].type


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the inverse; raise NotImplementedError for one that is not converted."""
    graph, inverse = Graph(scope, operator, container), operator.raw_operator.transformer_
    values = graph.doubles
    if isinstance(inverse, SCALERS):
        width = inverse.n_features_in_
        offset = inverse.inverse_transform(np.zeros((1, width)))
        scale = inverse.inverse_transform(np.ones((1, width))) - offset
        values = graph.add("Add", [graph.add("Mul", [values, graph.constant(scale)], 14), graph.constant(offset)], 14)
    elif isinstance(inverse, FunctionTransformer) and inverse.inverse_func in FUNCTIONS and not inverse.inv_kw_args:
        for name, number in FUNCTIONS[inverse.inverse_func]:
            values = graph.add(name, [values] if number is None else [values, graph.constant(number)])
    else:
        raise NotImplementedError(f"a TransformedTargetRegressor with another inverse; {REMEDY}")
    graph.answered(values, graph.outputs[0])
