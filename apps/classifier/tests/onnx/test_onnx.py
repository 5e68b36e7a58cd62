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


def test_each_input_gets_its_own_features_whatever_types_lie_between():
    model = OnnxModel(graphs.interleaved().SerializeToString(), graphs.INTERLEAVED)
    values = [[1.5, "red", 2, 0.25, 3.5, "low", True], [2.5, None, 7, None, -1.0, "none of them", False]]
    rows = Table(graphs.INTERLEAVED, np.float64).rows([((), row) for row in values])
    expected = [[1.5, 1, 2, 0.25, 3.5, 1, 1], [2.5, 2, 7, np.nan, -1, 0, 0]]
    assert np.array_equal(model.evaluate(rows), expected, equal_nan=True)
    assert np.array_equal(model.evaluate(rows[1:]), expected[1:], equal_nan=True)


def test_the_features_of_a_type_are_converted_at_once_for_all_inputs():
    """One by one, the 20 inputs of a pipeline take as long as its evaluation."""
    inputs = OnnxModel(graphs.interleaved().SerializeToString(), graphs.INTERLEAVED).inputs
    tensors = inputs.tensors(np.zeros((1, len(graphs.INTERLEAVED))))
    assert tensors["colour"].base is tensors["level"].base is not None


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


def test_a_map_of_probabilities_is_answered_as_numbers():
    """skl2onnx writes one by default."""
    served = OnnxModel(graphs.mapped().SerializeToString())
    assert served.classes == ("no", "yes")
    assert served.evaluate(np.array([[3.0, 3.0]])).tolist() == [[0.5, 0.5]]


def test_a_label_that_is_not_the_most_probable_class_is_answered(tmp_path, serve):
    """scikit-learn's SVC predicts by its decision function, and another class may be more probable."""
    answer = {"label": "no", "probabilities": [1 / (1 + np.e**2), 1 / (1 + np.e**-2)], "tolerance": 1e-6}
    probes = [{"features": [0.0, 2.0], **answer}]
    client = serve(
        graphs.publish(graphs.cautious(), tmp_path / "own_v1.onnx", NUMBERS, probes=probes, classes=["no", "yes"])
    )
    likely, certain = client.post("/predict", json={"instances": [[0, 2], [0, 3]]}).json()["predictions"]
    assert (likely["label"], certain["label"]) == ("no", "yes")
    assert likely["probability"] == pytest.approx(1 / (1 + np.e**2))
    assert [score["label"] for score in likely["top"]] == ["yes", "no"]
    tensor = {"name": "features", "datatype": "FP32", "shape": [2, 2], "data": [0, 2, 0, 3]}
    outputs = client.post("/v2/models/own/infer", json={"inputs": [tensor]}).json()["outputs"]
    assert outputs[1]["data"] == ["no", "yes"]


def test_a_label_that_is_no_class_is_refused():
    file = graphs.cautious(("none", "yes", "more")).SerializeToString()
    with pytest.raises(UnreadableError, match="it predicts 'none', and its classes are no, yes"):
        OnnxModel(file, classes=["no", "yes"])


def test_a_table_that_values_are_looked_up_in_is_no_list_of_classes():
    assert OnnxModel(graphs.lookup().SerializeToString()).classes == ()


def test_a_model_that_takes_one_row_at_once_answers_many():
    model = graphs.softmax()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    assert OnnxModel(model.SerializeToString()).evaluate(np.zeros((5, 2))).tolist() == [[0.5, 0.5]] * 5


def test_an_input_of_numbers_without_columns_takes_one_feature():
    node = helper.make_node("Abs", ["x"], ["y"])
    model = graphs.model([node], [("x", TensorProto.FLOAT, [None])], [("y", TensorProto.FLOAT, [None])])
    assert OnnxModel(model.SerializeToString()).evaluate(np.array([[-1.0], [2.0]])).tolist() == [[1], [2]]


def test_answers_that_depend_on_other_rows_are_refused():
    assert "depends on the rows beside it" in refusal(
        graphs.model([helper.make_node("Softmax", ["x"], ["y"], axis=0)], X, Y)
    )
    total = graphs.model([helper.make_node("ReduceSum", ["x"], ["y"])], X, Y)
    assert "it answers 3 rows by numbers of the shape (1, 1)" in refusal(total)


def test_features_that_the_types_of_the_inputs_do_not_hold_are_refused():
    content = graphs.lookup().SerializeToString()
    for feature, rule in (
        (Feature(name="i", kind="int", missing="null"), "holds no missing values, and the feature may be missing"),
        (Feature(name="i"), "the feature is of the kind float"),
        (Feature(name="i", kind="category", values=(1.5, 2.0)), "the feature is of the kind category"),
        (Feature(name="i", kind="category", values=("a",)), "the feature is a category of texts"),
    ):
        with pytest.raises(UnreadableError, match=rule):
            OnnxModel(content, [feature])
    with pytest.raises(UnreadableError, match="the feature is not a category of texts"):
        OnnxModel(graphs.colours().SerializeToString(), [Feature(name="colour")])


def test_functions_that_grow_without_end_are_refused():
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("own", 1)]

    def calls(name: str, *called: str):
        places = [*("abcdefgh"[: len(called)]), "y"]
        nodes = [
            helper.make_node(f, [a], [b], domain="own" if f[0] == "f" else "")
            for f, a, b in zip(called, places[:-1], places[1:], strict=True)
        ]
        return helper.make_function("own", name, ["a"], ["y"], nodes, opsets)

    doubled = [calls("f0", "Abs"), *(calls(f"f{n}", f"f{n - 1}", f"f{n - 1}") for n in range(1, 40))]
    for functions in (doubled, [calls("f39", "f39")]):
        node = helper.make_node("f39", ["x"], ["y"], domain="own")
        assert "more than 100000 nodes" in refusal(
            graphs.model([node], X, Y, functions=functions, opset_imports=opsets)
        )


def test_sparse_tensors_are_refused():
    values, places = helper.make_tensor("s", 1, [1], [1.0]), helper.make_tensor("i", 7, [1], [0])
    sparse = helper.make_sparse_tensor(values, places, [400_000_000])
    add = helper.make_node("Add", ["x", "s"], ["y"])
    initialized = graphs.model([add], X, Y)
    initialized.graph.sparse_initializer.append(sparse)
    constant = graphs.model([helper.make_node("Constant", [], ["s"], sparse_value=sparse), add], X, Y)
    assert refusal(initialized) == refusal(constant) == "it has sparse tensors. Save them dense"


def test_texts_that_grow_are_refused():
    nodes = [helper.make_node("StringConcat", ["x", "x"], ["t"]), helper.make_node("Shape", ["t"], ["y"])]
    assert "StringConcat" in refusal(graphs.model(nodes, [("x", TensorProto.STRING, [None, 1])], Y))


def test_long_texts_are_refused():
    assert OnnxModel(graphs.texts(800, 2).SerializeToString()).n_features == 1
    assert refusal(graphs.texts(801, 2)) == "it holds a text of 801 bytes; at most 800 are served. Shorten it"
