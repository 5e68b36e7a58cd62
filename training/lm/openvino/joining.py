"""Joins the matrices of a converted model that multiply the same input, such as those for queries, keys and values.

One large product costs less than several small ones: OpenVINO divides each among its threads and waits for all. Every
output is the sum that it was. Runs in the environment of the export: `python -m training.lm.openvino.joining FOLDER`.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset15 as operations

DECOMPRESSION = {"Convert", "Subtract", "Multiply"}  # of weights, between their numbers and the product


def join(model: openvino.Model) -> None:
    """Replace all products of one input with compressed matrices by a single product, whose output is split."""
    products = defaultdict[tuple[str, int], list[openvino.Node]](list)
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() in DECOMPRESSION:
            source = node.input_value(0)
            products[source.get_node().get_friendly_name(), source.get_index()].append(node)
    for nodes in products.values():
        if len(nodes) > 1:
            _replace(nodes)
    model.validate_nodes_and_infer_types()


def _replace(products: Sequence[openvino.Node]) -> None:
    matrices = [product.input_value(1) for product in products]
    widths = [matrix.get_shape()[0] for matrix in matrices]
    weights = _joined([matrix.get_node() for matrix in matrices])
    product = operations.matmul(products[0].input_value(0), weights, False, True)
    split = operations.variadic_split(product, operations.constant(np.int64(-1)), operations.constant(widths))
    for index, replaced in enumerate(products):
        for target in replaced.output(0).get_target_inputs():
            target.replace_source_output(split.output(index))


def _joined(nodes: Sequence[openvino.Node]) -> openvino.Node:
    """Return a copy of the first of `nodes`, with the rows of all in its constants."""
    operation = nodes[0].get_type_name()
    if operation == "Constant":
        return operations.constant(np.concatenate([node.data for node in nodes]))
    count = len(nodes[0].inputs())
    inputs = [_joined([node.input_value(index).get_node() for node in nodes]) for index in range(count)]
    if operation == "Convert":
        return operations.convert(*inputs, nodes[0].get_attributes()["destination_type"])
    return {"Subtract": operations.subtract, "Multiply": operations.multiply}[operation](*inputs)


def main() -> None:
    """Replace the model in the folder."""
    folder = Path(sys.argv[1])
    path, joined = folder / "openvino_model.xml", folder / "joined.xml"
    model = openvino.Core().read_model(path)
    join(model)
    openvino.save_model(model, joined, compress_to_fp16=False)
    for suffix in (".bin", ".xml"):
        joined.with_suffix(suffix).replace(path.with_suffix(suffix))


if __name__ == "__main__":
    main()
