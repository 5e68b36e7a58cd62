"""An .onnx file of any framework is described by its own answers; its classes may be named by the command."""

import json

import numpy as np
import pytest
from onnx import helper

from apps.classifier.model import open_classifier
from apps.classifier.tests.onnx import graphs
from training.__main__ import main
from training.classifier.onnx import foreign
from training.errors import TrainingError


@pytest.fixture
def describe(tmp_path):
    """Describe a model by a CSV of rows; return the manifest's keys."""

    def describe(model, rows="a,b\n1,2\n3,4\n", classes=None):
        (tmp_path / "own_v1.onnx").write_bytes(model.SerializeToString())
        (tmp_path / "rows.csv").write_text(rows)
        return foreign.describe(tmp_path / "own_v1.onnx", tmp_path / "rows.csv", None, classes)

    return describe


def logits():
    model = graphs.softmax()
    model.graph.node[1].CopyFrom(helper.make_node("Identity", ["z"], ["p"]))
    return model


def fixed_batch():
    model = graphs.softmax()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return model


def test_probabilities_without_names_become_those_of_the_classes_that_are_named(describe):
    assert describe(graphs.softmax())["classes"] == []
    assert "value" in describe(graphs.softmax())["probes"][0]
    described = describe(graphs.softmax(), classes=("yes", "no"))
    assert described["classes"] == ["yes", "no"]
    exponents = np.exp(np.array([1.0, 2.0]) @ graphs.WEIGHTS)
    assert described["probes"][0]["label"] == "no"
    assert np.allclose(described["probes"][0]["probabilities"], exponents / exponents.sum(), rtol=0, atol=1e-15)


def test_logits_are_no_probabilities_of_classes(describe):
    with pytest.raises(TrainingError, match="If these are logits, end the model with a softmax") as error:
        describe(logits(), classes=("yes", "no"))
    assert "it answers a row by [2.0, 4.0], and probabilities of classes lie from 0 to 1 and sum to 1" in str(
        error.value
    )
    assert describe(logits())["probes"][0]["value"] == [2.0, 4.0]


def test_another_number_of_classes_is_refused(describe):
    with pytest.raises(TrainingError, match="it answers 2 numbers for 3 classes"):
        describe(graphs.softmax(), classes=("a", "b", "c"))


def test_a_file_that_names_its_classes_keeps_its_names(describe):
    with pytest.raises(TrainingError, match=r"it names its classes itself: no, yes\. Leave --classes out"):
        describe(graphs.mapped(), classes=("a", "b"))


def test_a_model_of_one_row_at_once_is_described_by_a_sample_of_one_row(describe):
    described = describe(fixed_batch(), "a,b\n1,2\n", ("yes", "no"))
    assert described["probes"][0]["features"] == [1, 2] and len(described["probes"]) > 1


def test_classes_are_for_onnx_files(tmp_path, capsys):
    (tmp_path / "own_v1.joblib").touch()
    words = ["--classes", "a,b", "--models-dir", str(tmp_path / "models")]
    assert main(["register", str(tmp_path / "own_v1.joblib"), *words]) == 1
    assert "--classes is for .onnx files, and" in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter that needs no other package
@pytest.mark.parametrize("batch", ["any", "one row"])
def test_a_model_exported_by_pytorch_is_served_by_the_names_of_its_classes(tmp_path, batch):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1)
    )
    axes = {"rows": {0: "n"}, "probabilities": {0: "n"}} if batch == "any" else None
    names = {"input_names": ["rows"], "output_names": ["probabilities"], "dynamic_axes": axes}
    torch.onnx.export(network.eval(), torch.zeros(1, 4), tmp_path / "flower_v1.onnx", dynamo=False, **names)
    (tmp_path / "rows.csv").write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n")
    words = ["--sample", str(tmp_path / "rows.csv"), "--models-dir", str(tmp_path / "models")]
    assert main(["register", str(tmp_path / "flower_v1.onnx"), "--classes", "setosa,versicolor,virginica", *words]) == 0
    served = open_classifier(str(tmp_path / "models/flower_v1.onnx"))
    rows = np.random.default_rng(0).normal(size=(5, 4))
    expected = network(torch.tensor(rows, dtype=torch.float32)).detach().numpy()
    answers = served.predict(rows)
    assert [a["label"] for a in answers] == [served.forest.classes[best] for best in expected.argmax(axis=1)]
    assert np.allclose([a["probability"] for a in answers], expected.max(axis=1), rtol=0, atol=1e-6)
    manifest = json.loads((tmp_path / "models/flower_v1.json").read_text())
    assert manifest["classes"] == ["setosa", "versicolor", "virginica"]
