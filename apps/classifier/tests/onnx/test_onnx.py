"""ONNX models are served by onnxruntime within bounds; files that reach for more are refused in one line."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from apps.classifier import engines
from apps.classifier.artifact.content import UnreadableError
from apps.classifier.model import open_classifier
from apps.classifier.onnx.model import ROWS, OnnxModel
from apps.classifier.table import RowsError, Table
from apps.classifier.tests.onnx import graphs
from apps.serving.identity import LoadError
from models.features import Feature

NUMBERS = [Feature(name="a"), Feature(name="b")]
TWO_FOUR = np.exp([2.0, 4.0])  # [1, 2] @ WEIGHTS
X, Y = [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])]


def refusal(model: onnx.ModelProto | bytes) -> str:
    with pytest.raises(UnreadableError) as error:
        OnnxModel(model if isinstance(model, bytes) else model.SerializeToString())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_published_model_answers_in_double_precision(tmp_path):
    answer = {"label": "no", "probabilities": (TWO_FOUR / TWO_FOUR.sum()).tolist()}
    probes = [{"features": [1.0, 2.0], "tolerance": 1e-6, **answer}]
    artifact = graphs.publish(graphs.softmax(), tmp_path / "own_v1.onnx", NUMBERS, classes=["yes", "no"], probes=probes)
    served = open_classifier(str(artifact))
    rows = np.random.default_rng(0).normal(size=(ROWS * 2 + 1, 2))
    exponents = np.exp(rows @ graphs.WEIGHTS)
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    assert np.abs(served.forest.evaluate(rows) - expected).max() < 1e-15
    assert served.predict(rows[:1])[0]["label"] == ("yes", "no")[expected[0].argmax()]


def test_a_probe_outside_its_tolerance_is_refused(tmp_path):
    probes = [
        {
            "features": [1.0, 2.0],
            "label": "no",
            "probabilities": (TWO_FOUR / TWO_FOUR.sum() + 2e-6).tolist(),
            "tolerance": 1e-6,
        }
    ]
    artifact = graphs.publish(graphs.softmax(), tmp_path / "own_v1.onnx", NUMBERS, classes=["yes", "no"], probes=probes)
    with pytest.raises(LoadError, match="does not answer probe 0"):
        open_classifier(str(artifact))


def test_an_image_without_the_engine_names_the_one_that_has_it(tmp_path, monkeypatch):
    artifact = graphs.publish(graphs.softmax(), tmp_path / "own_v1.onnx", NUMBERS)
    monkeypatch.setattr(engines, "find_spec", lambda package: None)
    with pytest.raises(LoadError, match=r"which this image does not have. Use the image classifier-service:v1-onnx"):
        open_classifier(str(artifact))


@pytest.mark.slow
def test_the_service_of_a_forest_imports_no_onnxruntime():
    code = "import sys, apps.classifier.service, apps.serving.server; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"onnx", "onnxruntime"}.isdisjoint(modules)


def test_texts_of_a_category_and_unknown_and_missing_ones_reach_the_model():
    model = OnnxModel(graphs.colours().SerializeToString(), [graphs.COLOURS])
    table = Table([graphs.COLOURS], np.float64)
    rows = table.rows([((), [text]) for text in ("red", "green", "violet", None)])
    assert model.evaluate(rows).ravel().tolist() == [1, 2, 0, 3]
    with pytest.raises(RowsError) as error:
        table.rows([((), [7])])
    assert error.value.mistakes == [((0,), "must be a text; 7 was given (colour)")]


def test_more_memory_than_the_bound_fails_in_the_model_and_not_in_the_process():
    """The arena is made once in a process, so the bound is set in one of its own."""
    code = (
        "import resource; from apps.classifier.onnx import model; from apps.classifier.tests.onnx import graphs\n"
        "model.max_bytes = lambda: 50_000_000\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert model.OnnxModel(graphs.large(1000).SerializeToString()).n_features == 1\n"
        "try: model.OnnxModel(graphs.large(200_000_000).SerializeToString())\n"
        "except model.UnreadableError as error: print(error)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "does not evaluate it" in done.stdout


def test_weights_in_other_files_are_refused(tmp_path):
    model = graphs.softmax()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.ClearField("double_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")
    assert "its weights lie in other files" in refusal(model)


def test_weights_in_other_files_are_found_in_inner_graphs():
    tensor = TensorProto(dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)],
        "inner",
        [],
        [helper.make_tensor_value_info("c", 1, [1])],
    )
    condition = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["t"], ["y"], then_branch=inner, else_branch=inner)
    assert "its weights lie in other files" in refusal(graphs.model([node], X, Y, [condition]))


def test_operators_that_onnx_does_not_define_are_refused():
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.example")
    assert refusal(graphs.model([node], X, Y)) == "it has operators that ONNX does not define: com.example:Gelu"


@pytest.mark.parametrize("operator", ["Loop", "SequenceMap", "RandomNormalLike"])
def test_operators_that_never_end_or_are_random_are_refused(operator):
    assert operator in refusal(graphs.model([helper.make_node(operator, ["x"], ["y"])], X, Y))


def test_nodes_in_a_circle_are_refused():
    nodes = [helper.make_node("Cast", ["a"], ["y"], to=1), helper.make_node("Cast", ["y"], ["a"], to=1)]
    assert "onnxruntime does not load it" in refusal(graphs.model(nodes, X, Y))


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x13", b"PK\x03\x04" * 9])
def test_what_is_no_onnx_is_refused(content):
    assert "it is not an ONNX model" in refusal(content)


def test_inputs_that_are_no_rows_are_refused():
    node = helper.make_node("Relu", ["x"], ["y"])
    image = [("x", TensorProto.FLOAT, [None, 3, 8, 8])]
    assert "has the shape" in refusal(graphs.model([node], image, [("y", TensorProto.FLOAT, [None, 3, 8, 8])]))
    assert "takes exactly 7 rows" in refusal(
        graphs.model([node], [("x", TensorProto.FLOAT, [7, 2])], [("y", 1, [7, 2])])
    )
