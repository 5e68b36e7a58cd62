"""Joined matrix products, in the environment of the export: its libraries are not in the one of the tests."""

import pytest

from training import environments

pytestmark = pytest.mark.full
PROGRAM = """
import numpy as np, openvino
from openvino import opset15 as operations
from training.lm.openvino.joining import join

random = np.random.default_rng(1)
hidden = operations.parameter([-1, 64], np.float32)
def product(source, rows, columns=64):
    weights = operations.constant(random.integers(0, 255, (rows, columns), np.uint8))
    offsets = operations.constant(random.integers(0, 255, (rows, 1), np.uint8))
    centred = operations.subtract(*(operations.convert(node, np.float32) for node in (weights, offsets)))
    scaled = operations.multiply(centred, operations.constant(random.random((rows, 1), np.float32)))
    return operations.matmul(source, scaled, False, True)
first = product(hidden, 96)
rest = [product(hidden, 32), product(hidden, 16), product(first, 8, 96)]
model = openvino.Model([first, *rest], [hidden])
rows = random.random((3, 64), np.float32)
def outputs():
    return [array.copy() for array in openvino.compile_model(model, "CPU")(rows).values()]
def products():
    return sum(node.get_type_name() == "MatMul" for node in model.get_ops())
before, count = outputs(), products()
join(model)
print(count, products(), max(float(np.abs(a - b).max()) for a, b in zip(before, outputs(), strict=True)))
"""


def test_products_of_one_input_are_joined_and_their_outputs_stay_the_same():
    output = environments.run([environments.ready("openvino") / "python", "-c", PROGRAM])
    assert output == "4 2 0.0\n"
