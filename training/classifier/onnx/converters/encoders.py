"""Converters of encoders of categories: each category, a missing value and any other has its row of a table.

The encoder itself fills the tables, so that its options need no code here. skl2onnx's own converters lack missing and
rare categories, and compute in float32.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx._parse import _parse_sklearn_feature_union
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from apps.classifier.onnx.inputs import MISSING
from training.classifier.onnx.converters.graph import Graph

ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
DOUBLE = "double"  # the option that tells the precision
UNKNOWN = "a text that is no category"
APART = "a transformer of its own: ColumnTransformer([('texts', …, TEXTS), ('numbers', …, NUMBERS)])"


def parse(scope: Any, encoder: Any, inputs: Sequence[Any], custom_parsers: Any = None) -> Any:
    """Declare the output in the model's precision, which skl2onnx takes for all that follows; texts do not show it."""
    operator = scope.declare_local_operator(f"Own{type(encoder).__name__}", encoder)
    operator.inputs.extend(inputs)
    is_double = scope.get_options(encoder, {DOUBLE: True})[DOUBLE]
    number = DoubleTensorType if is_double else FloatTensorType
    operator.outputs.append(scope.declare_local_variable("encoded", number()))
    return operator.outputs


def parse_union(scope: Any, union: Any, inputs: Sequence[Any], custom_parsers: Any = None) -> Any:
    """Declare the output of a FeatureUnion of texts in the precision of what its transformers make, not float32."""
    outputs = _parse_sklearn_feature_union(scope, union, inputs, custom_parsers)
    (union_operator,) = outputs[0].operators_outputs_
    types = [type(part.type) for part in union_operator.inputs if not isinstance(part.type, StringTensorType)]
    if types:
        outputs[0].type = types[0]()
    return outputs


def shape(operator: Any) -> None:
    """Set the shape of the output; raise NotImplementedError where numbers among its inputs have become texts."""
    encoder, columns = operator.raw_operator, [variable.type for variable in operator.inputs for _ in _places(variable)]
    for column_type, categories in zip(columns, encoder.categories_, strict=True):
        if isinstance(column_type, StringTensorType) and not any(isinstance(value, str) for value in categories):
            name = type(encoder).__name__
            raise NotImplementedError(f"a {name} of texts and numbers together; give each {APART}")
    operator.outputs[0].type = type(operator.outputs[0].type)([None, sum(widths(encoder))])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an encoder: the place of each value among its categories, then that row of the column's table."""
    graph, encoder = Graph(scope, operator, container), operator.raw_operator
    columns = [column for variable in operator.inputs for column in _columns(graph, variable)]
    parts = []
    for place, (name, column_type) in enumerate(columns):
        categories = encoder.categories_[place]
        if isinstance(column_type, StringTensorType):
            code = _text_code(graph, name, categories)
        else:
            held = categories.astype(np.float64 if isinstance(column_type, DoubleTensorType) else np.float32)
            code = _number_code(graph, graph.add("Cast", [name], to=TensorProto.DOUBLE), held.astype(np.float64))
        parts.append(graph.add("Gather", [graph.constant(table(encoder, place)), code], axis=0))
    is_double = isinstance(operator.outputs[0].type, DoubleTensorType)
    number = TensorProto.DOUBLE if is_double else TensorProto.FLOAT
    graph.add("Cast", [graph.add("Concat", parts, axis=1)], output=graph.outputs[0], to=number)


def widths(encoder: Any) -> list[int]:
    """Return how many numbers stand for each column."""
    if isinstance(encoder, OneHotEncoder):
        return [int(width) for width in encoder._n_features_outs]
    count = len(encoder.categories_)
    return [len(encoder.get_feature_names_out()) // count] * count


def table(encoder: Any, column: int) -> np.ndarray:
    """Return float64 (rows, width): what each category, a missing value and any other of a column becomes.

    It is NaN where the encoder raises: the features of the manifest refuse such values.
    """
    categories, start = encoder.categories_[column].tolist(), sum(widths(encoder)[:column])
    missing = None if None in categories else np.nan
    rows = [_encoded(encoder, column, value) for value in (*categories, missing, _unknown(categories))]
    return np.array(rows)[:, start : start + widths(encoder)[column]]


def _encoded(encoder: Any, column: int, value: Any) -> np.ndarray:
    """Return float64 (width of all columns): an encoded row whose `column` holds `value`, and all others a category."""
    row = np.array([[categories[0] for categories in encoder.categories_]], object)
    row[0, column] = value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that it was fitted on, and of unknown categories
            encoded = encoder.transform(row)
    except ValueError:
        return np.full(sum(widths(encoder)), np.nan)
    dense = encoded.toarray() if hasattr(encoded, "toarray") else encoded
    return np.asarray(dense, np.float64).ravel()


def _unknown(categories: Sequence[Any]) -> Any:
    """Return a value that is no category."""
    if any(isinstance(value, str) for value in categories):
        return UNKNOWN
    return max((value for value in categories if value == value), default=0) + 1


def _columns(graph: Graph, variable: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name of each column (n, 1) of a variable, and its type."""
    for place in _places(variable):
        index = graph.constant([place], TensorProto.INT64)
        yield graph.add("Gather", [variable.full_name, index], axis=1), variable.type


def _places(variable: Any) -> range:
    return range(variable.type.shape[1])


def _text_code(graph: Graph, name: str, categories: np.ndarray) -> str:
    """Return the name of int64 (n,): the rows of `table` for texts (n, 1)."""
    places = {MISSING: len(categories)} | {text: place for place, text in enumerate(categories) if type(text) is str}
    codes = graph.add(
        "LabelEncoder", [name], 2, op_domain="ai.onnx.ml", keys_strings=[*places], values_int64s=[*places.values()],
        default_int64=len(categories) + 1,
    )  # fmt: skip
    return graph.add("Squeeze", [codes, graph.constant([1], TensorProto.INT64)])


def _number_code(graph: Graph, name: str, categories: np.ndarray) -> str:
    """Return the name of int64 (n,): the rows of `table` for float64 (n, 1), the first of those that hold."""
    count = len(categories)
    values = graph.constant([[*categories, np.nan, np.nan]])
    is_missing, is_other = (
        graph.constant([np.arange(count + 2) == place], TensorProto.BOOL) for place in (count, count + 1)
    )
    missing = graph.add("And", [graph.add("IsNaN", [name]), is_missing], 7)
    holds = graph.add("Or", [graph.add("Or", [graph.add("Equal", [name, values]), missing], 7), is_other], 7)
    return graph.add("ArgMax", [graph.add("Cast", [holds], to=TensorProto.INT32)], axis=1, keepdims=0)
