"""Adds nodes to a converted model, and what all converters of models share."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType

from training.classifier.onnx.converters import trees


class Graph:
    """Adds nodes to a converted model, each with a name of its own for its result."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.container, self.model = scope, container, operator.raw_operator
        self.inputs = [variable.full_name for variable in operator.inputs]
        self.number = self.number_of(operator.inputs[0].type)
        self.outputs = [variable.full_name for variable in operator.outputs]

    @staticmethod
    def number_of(dtype: Any) -> int:
        """Return ONNX's number for the precision of a type of skl2onnx."""
        return int(TensorProto.DOUBLE if isinstance(dtype, DoubleTensorType) else TensorProto.FLOAT)

    @cached_property
    def rows(self) -> str:
        """The name of (n, features): the inputs side by side."""
        return self.inputs[0] if len(self.inputs) == 1 else self.add("Concat", self.inputs, axis=1)

    @cached_property
    def doubles(self) -> str:
        """The name of the rows in float64."""
        return self.add("Cast", [self.rows], to=TensorProto.DOUBLE)

    def add(
        self, operator_type: str, inputs: list[str], version: int = 13, output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node; return the name of its result."""
        name = output or str(self.scope.get_unique_variable_name(operator_type.lower()))
        self.container.add_node(operator_type, inputs, name, op_version=version, **attributes)
        return name

    def several(
        self, operator_type: str, inputs: list[str], count: int, version: int = 13, **attributes: Any
    ) -> list[str]:
        """Add a node with `count` results; return their names."""
        names = [str(self.scope.get_unique_variable_name(operator_type.lower())) for _ in range(count)]
        self.container.add_node(operator_type, inputs, names, op_version=version, **attributes)
        return names

    def constant(self, values: Any, number: int = TensorProto.DOUBLE) -> str:
        """Add a constant; return its name."""
        array, name = np.asarray(values), str(self.scope.get_unique_variable_name("constant"))
        self.container.add_initializer(name, number, list(array.shape), array.ravel().tolist())
        return name

    def texts(self, values: Any) -> str:
        """Add a constant of texts; return its name."""
        array, name = np.asarray(values, object), str(self.scope.get_unique_variable_name("texts"))
        texts = [text.encode() for text in array.ravel()]
        self.container.add_initializer(name, TensorProto.STRING, list(array.shape), texts)
        return name

    def leaves(self, members: list[trees.Tree], **options: Any) -> str:
        """Add trees; return the name of float64 (n, trees, width)."""
        return trees.add(self.scope, self.container, self.rows, members, **options)

    def summed(self, values: str, groups: np.ndarray, count: int) -> str:
        """Return the name of float64 (n, count): of `values` (n, trees, 1) the sum over each group of trees."""
        flat = self.add("Squeeze", [values, self.constant([2], TensorProto.INT64)])
        return self.add("MatMul", [flat, self.constant(np.eye(count)[groups])])

    def classified(self, probabilities: str, scores: str | None = None) -> None:
        """Make `probabilities` the answer, and the class of the highest of them, or of `scores`, its label."""
        self.answered(probabilities, self.outputs[1])
        best = self.add("ArgMax", [scores or probabilities], axis=1, keepdims=0)
        classes = self.model.classes_
        if classes.dtype.kind in "iub":
            labels = self.constant(classes.astype(np.int64), TensorProto.INT64)
        else:
            labels = self.texts([str(name) for name in classes])
        self.add("Gather", [labels, best], output=self.outputs[0], axis=0)

    def answered(self, values: str, output: str) -> None:
        """Make float64 `values` an output, in the model's precision."""
        self.add("Cast", [values], output=output, to=self.number)

    def probabilities(self, margins: str, count: int) -> str:
        """Return the name of the softmax of (n, count), or of the two classes' probabilities of a sigmoid of (n, 1)."""
        if count > 1:
            return self.add("Softmax", [margins], axis=1)
        positive = self.add("Sigmoid", [margins])
        negative = self.add("Sub", [self.constant([[1.0]]), positive], 14)
        return self.add("Concat", [negative, positive], axis=1)


def shapes(operator: Any) -> None:
    """Set the types of the outputs: labels and probabilities, or values, in the precision of the rows."""
    model, number = operator.raw_operator, type(operator.inputs[0].type)
    if not hasattr(model, "classes_"):
        operator.outputs[0].type = number([None, getattr(model, "n_outputs_", 1)])
        return
    label = Int64TensorType if model.classes_.dtype.kind in "iub" else StringTensorType
    operator.outputs[0].type = label([None])
    operator.outputs[1].type = number([None, len(model.classes_)])


def parse(scope: Any, model: Any, inputs: Sequence[Any], custom_parsers: Any = None) -> Any:
    """Declare one output of the type of the inputs; skl2onnx declares more for clusters and outliers."""
    operator = scope.declare_local_operator(f"Own{type(model).__name__}", model)
    operator.inputs.extend(inputs)
    operator.outputs.append(scope.declare_local_variable("values", type(inputs[0].type)()))
    return operator.outputs
