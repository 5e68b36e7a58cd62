"""Converters of transformers that skl2onnx lacks, or writes in float32 only."""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, PowerTransformer

from training.classifier.onnx.converters.graph import Graph

# The steps of each function, of an operator and a constant that follows its input.
FUNCTIONS: dict[Any, list[tuple[str, float | None]]] = {
    None: [("Identity", None)],
    np.log: [("Log", None)],
    np.log1p: [("Add", 1.0), ("Log", None)],
    np.log2: [("Log", None), ("Div", np.log(2.0))],
    np.log10: [("Log", None), ("Div", np.log(10.0))],
    np.exp: [("Exp", None)],
    np.expm1: [("Exp", None), ("Sub", 1.0)],
    np.sqrt: [("Sqrt", None)],
    np.square: [("Pow", 2.0)],
    np.abs: [("Abs", None)],
    np.sin: [("Sin", None)],
    np.cos: [("Cos", None)],
}


def function_shape(operator: Any) -> None:
    """Set the type of the output; raise NotImplementedError for functions that are not converted."""
    model = operator.raw_operator
    if model.func not in FUNCTIONS or model.kw_args:
        known = ", ".join(f"numpy.{function.__name__}" for function in FUNCTIONS if function)
        raise NotImplementedError(f"a FunctionTransformer of a function other than {known}; compute it in the rows")
    width = sum(variable.type.shape[1] for variable in operator.inputs)
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def function(scope: Any, operator: Any, container: Any) -> None:
    """FunctionTransformer of a function of numpy."""
    graph = Graph(scope, operator, container)
    values = graph.rows
    for name, number in FUNCTIONS[operator.raw_operator.func]:
        values = graph.add(name, [values] if number is None else [values, graph.constant(number, graph.number)])
    graph.add("Identity", [values], output=graph.outputs[0])


def polynomial_shape(operator: Any) -> None:
    """Set the type of the output."""
    operator.outputs[0].type = type(operator.inputs[0].type)([None, len(operator.raw_operator.powers_)])


def polynomial(scope: Any, operator: Any, container: Any) -> None:
    """PolynomialFeatures: the product of each output's factors, which are as many columns as the degree, or ones."""
    graph, powers = Graph(scope, operator, container), operator.raw_operator.powers_
    width, degree = powers.shape[1], max(1, int(powers.sum(axis=1).max()))
    factors = np.full((len(powers), degree), width)
    for row, exponents in enumerate(powers):
        factors[row, : exponents.sum()] = np.repeat(np.arange(width), exponents)
    first = graph.add("Gather", [graph.rows, graph.constant([0], TensorProto.INT64)], axis=1)
    ones = graph.add("Pow", [first, graph.constant(0.0, graph.number)])  # of NaN and infinity too
    columns = graph.add("Concat", [graph.rows, ones], axis=1)
    product = ""
    for place in range(degree):
        factor = graph.add("Gather", [columns, graph.constant(factors[:, place], TensorProto.INT64)], axis=1)
        product = graph.add("Mul", [product, factor], 14) if product else factor
    graph.add("Identity", [product], output=graph.outputs[0])


def power_shape(operator: Any) -> None:
    """Set the type of the output."""
    operator.outputs[0].type = type(operator.inputs[0].type)([None, len(operator.raw_operator.lambdas_)])


def power(scope: Any, operator: Any, container: Any) -> None:
    """PowerTransformer: each column by its own exponent, then standardised.

    Source: I. Yeo, R. Johnson, A new family of power transformations to improve normality or symmetry, 2000.
    """
    graph, model = Graph(scope, operator, container), operator.raw_operator
    if model.method == "box-cox":
        result = _box_cox(graph, graph.rows, model.lambdas_)
    else:
        zero, one = graph.constant(0.0, graph.number), graph.constant(1.0, graph.number)
        above = graph.add("Max", [graph.rows, zero])
        below = graph.add("Max", [graph.add("Neg", [graph.rows]), zero])
        positive = _box_cox(graph, graph.add("Add", [above, one], 14), model.lambdas_)
        negative = _box_cox(graph, graph.add("Add", [below, one], 14), 2 - model.lambdas_)
        result = graph.add("Sub", [positive, negative], 14)  # one of which is 0
    if model.standardize:
        result = graph.add("Sub", [result, graph.constant(model._scaler.mean_, graph.number)], 14)
        result = graph.add("Div", [result, graph.constant(model._scaler.scale_, graph.number)], 14)
    graph.add("Identity", [result], output=graph.outputs[0])


def _box_cox(graph: Graph, values: str, exponents: np.ndarray) -> str:
    """Return the name of (values ** exponents - 1) / exponents, the logarithm where an exponent is 0."""
    is_zero = np.abs(exponents) < np.spacing(1.0)  # as scikit-learn compares it
    divisors = graph.constant(np.where(is_zero, 1, exponents), graph.number)
    powers = graph.add("Sub", [graph.add("Pow", [values, divisors]), graph.constant(1.0, graph.number)], 14)
    return graph.add(
        "Where",
        [
            graph.constant(is_zero, TensorProto.BOOL),
            graph.add("Log", [values]),
            graph.add("Div", [powers, divisors], 14),
        ],
        16,
    )


CONVERTERS = {
    FunctionTransformer: (function_shape, function),
    PolynomialFeatures: (polynomial_shape, polynomial),
    PowerTransformer: (power_shape, power),
}
