"""ONNX files made by hand: a linear model, and files that a service must refuse."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from models import publishing
from models.features import Feature

WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0]])
COLOURS = Feature(name="colour", kind="category", values=("red", "green"), unknown="accepted", missing="null")

INTERLEAVED = [
    Feature(name="a"),
    COLOURS,
    Feature(name="count", kind="int"),
    Feature(name="b", missing="null"),
    Feature(name="c"),
    Feature(name="level", kind="category", values=("high", "low"), unknown="accepted"),
    Feature(name="flag", kind="bool"),
]


def model(nodes, inputs, outputs, initializers=(), **keys) -> onnx.ModelProto:
    """Return a model of opset 19 whose `inputs` and `outputs` are (name, type, shape)."""
    input_infos, output_infos = (
        [helper.make_tensor_value_info(*value) for value in part] for part in (inputs, outputs)
    )
    graph = helper.make_graph(list(nodes), "graph", input_infos, output_infos, list(initializers))
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, ir_version=9, **{"opset_imports": opsets, **keys})


def softmax() -> onnx.ModelProto:
    """Return softmax(rows @ WEIGHTS) in float64."""
    weights = helper.make_tensor("w", TensorProto.DOUBLE, [2, 2], WEIGHTS.ravel().tolist())
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)]
    return model(nodes, [("x", TensorProto.DOUBLE, [None, 2])], [("p", TensorProto.DOUBLE, [None, 2])], [weights])


def cautious(labels: tuple[str, ...] = ("no", "yes")) -> onnx.ModelProto:
    """Return a classifier of no and yes, whose label is the second of `labels` only where that is 0.9 probable."""
    names = text_tensor("names", b"")
    names.dims[:], names.string_data[:] = [len(labels)], [label.encode() for label in labels]
    second = helper.make_tensor("second", TensorProto.INT64, [], [1])
    limit = helper.make_tensor("limit", TensorProto.FLOAT, [], [0.9])
    nodes = [
        helper.make_node("Softmax", ["x"], ["p"]),
        helper.make_node("Gather", ["p", "second"], ["yes"], axis=1),
        helper.make_node("Greater", ["yes", "limit"], ["is yes"]),
        helper.make_node("Cast", ["is yes"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["names", "place"], ["label"]),
    ]
    outputs = [("label", TensorProto.STRING, [None]), ("p", TensorProto.FLOAT, [None, 2])]
    return model(nodes, [("x", TensorProto.FLOAT, [None, 2])], outputs, [names, second, limit])


def mapped() -> onnx.ModelProto:
    """Return softmax(rows) as a map of the classes no and yes, as skl2onnx writes it by default."""
    maps = helper.make_node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"])
    inputs, outputs = [("x", TensorProto.FLOAT, [None, 2])], [("y", TensorProto.FLOAT, [None, 2])]
    result = model([helper.make_node("Softmax", ["x"], ["p"]), maps], inputs, outputs)
    inner = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    result.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(inner))
    return result


def colours() -> onnx.ModelProto:
    """Return a regressor that answers 1 for red, 2 for green, 3 for a missing colour and 0 for all others."""
    node = helper.make_node(
        "LabelEncoder", ["colour"], ["y"], domain="ai.onnx.ml", keys_strings=["red", "green", ""],
        values_floats=[1.0, 2.0, 3.0], default_float=0.0,
    )  # fmt: skip
    return model([node], [("colour", TensorProto.STRING, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])])


def interleaved() -> onnx.ModelProto:
    """Return a regressor that answers its features, INTERLEAVED, which come in inputs of all types and two widths.

    Of a colour it answers 1 for red and 2 for a missing one, of a level 1 for low.
    """
    types = {"a": "DOUBLE", "colour": "STRING", "count": "INT64", "bc": "FLOAT", "level": "STRING", "flag": "BOOL"}
    codes = {"colour": (["red", ""], [1.0, 2.0]), "level": (["low"], [1.0])}
    inputs, nodes = [], []
    for name, kind in types.items():
        inputs.append((name, TensorProto.DataType.Value(kind), [None, 2 if name == "bc" else 1]))
        if name in codes:
            keys, values = codes[name]
            encoder = helper.make_node(
                "LabelEncoder", [name], [f"{name} code"], domain="ai.onnx.ml",
                keys_strings=keys, values_floats=values, default_float=0.0,
            )  # fmt: skip
            nodes.append(encoder)
        source = f"{name} code" if name in codes else name
        nodes.append(helper.make_node("Cast", [source], [f"{name} number"], to=TensorProto.DOUBLE))
    nodes.append(helper.make_node("Concat", [f"{name} number" for name in types], ["y"], axis=1))
    return model(nodes, inputs, [("y", TensorProto.DOUBLE, [None, len(INTERLEAVED)])])


def large(elements: int) -> onnx.ModelProto:
    """Return a small file that makes a tensor of so many float32 numbers."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [elements])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return model(nodes, [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])], [shape])


def lookup() -> onnx.ModelProto:
    """Return a regressor that answers 10, 20 or 30 for the whole numbers 0, 1 or 2, and fails for others."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [3, 1], [10.0, 20.0, 30.0])
    first = helper.make_tensor("first", TensorProto.INT64, [1], [1])
    nodes = [helper.make_node("Squeeze", ["i", "first"], ["j"]), helper.make_node("Gather", ["table", "j"], ["y"])]
    inputs = [("i", TensorProto.INT64, [None, 1])]
    return model(nodes, inputs, [("y", TensorProto.FLOAT, [None, 1])], [table, first])


def logarithm() -> onnx.ModelProto:
    """Return a regressor whose answer to a negative number is no number."""
    node = helper.make_node("Log", ["x"], ["y"])
    return model([node], [("x", TensorProto.DOUBLE, [None, 1])], [("y", TensorProto.DOUBLE, [None, 1])])


def wide(width: int, operators: int = 1) -> onnx.ModelProto:
    """Return a regressor that answers the mean of `width` numbers for each row, which `operators` compute in turn."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, width])
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    nodes = [helper.make_node("Expand", ["x", "shape"], ["t0"])]
    nodes += [helper.make_node("Tanh", [f"t{n}"], [f"t{n + 1}"]) for n in range(operators)]
    nodes.append(helper.make_node("ReduceMean", [f"t{operators}", "axis"], ["y"]))
    inputs, outputs = [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])]
    return model(nodes, inputs, outputs, [shape, axis])


def repeated(width: int) -> onnx.ModelProto:
    """Return a regressor that answers a number `width` times."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, width])
    nodes = [helper.make_node("Expand", ["x", "shape"], ["y"])]
    inputs, outputs = [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, width])]
    return model(nodes, inputs, outputs, [shape])


def squares() -> onnx.ModelProto:
    """Return a regressor that multiplies two square matrices, whose width is the value of the row, and answers it."""
    none = helper.make_tensor("none", TensorProto.FLOAT, [1, 1], [0.0])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"]),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Concat", ["whole", "whole"], ["pair"], axis=1),
        helper.make_node("Flatten", ["pair"], ["row"], axis=1),
        helper.make_node("Squeeze", ["row"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["matrix"]),
        helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "none"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    return model(nodes, [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])], [none])


def expanding(part: str, megabytes: int) -> bytes:
    """Return a file whose empty parts take many times more memory than they take in the file.

    `part` says what it has many of: nodes, inputs of nodes, texts in attributes, or texts in constants.
    """
    content, count = [softmax().SerializeToString()], 1000
    for number in range(megabytes * 1000 // 2):  # each part takes two bytes; files that are joined are one graph
        piece = onnx.ModelProto()
        if part == "nodes":
            piece.graph.node.extend([onnx.NodeProto()] * count)
        elif part == "inputs":
            piece.graph.node.add(op_type="Sum", input=[""] * count)
        elif part == "texts in attributes":
            piece.graph.node.add(op_type="Abs").attribute.add(name="a", strings=[b""] * count)
        elif part == "texts in constants":
            piece.graph.initializer.append(text_tensor(f"t{number}", b"", count))
        content.append(piece.SerializeToString())
    return b"".join(content)


def text_tensor(name: str, text: bytes, count: int = 1) -> TensorProto:
    """Return a constant of one dimension; the type of `helper.make_tensor` has no texts."""
    return TensorProto(name=name, data_type=TensorProto.STRING, dims=[count], string_data=[text] * count)


def texts(length: int, count: int) -> onnx.ModelProto:
    """Return a regressor that makes `count` copies of a text for each row, and answers the row."""
    table = text_tensor("table", b"t" * length)
    places = helper.make_tensor("places", TensorProto.FLOAT, [1, count], np.zeros(count))
    nodes = [
        helper.make_node("Mul", ["x", "places"], ["zeros"]),
        helper.make_node("Cast", ["zeros"], ["indices"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "indices"], ["texts"]),
        helper.make_node(
            "LabelEncoder", ["texts"], ["codes"], domain="ai.onnx.ml", keys_strings=["a"], values_floats=[1.0],
            default_float=0.0,
        ),
        helper.make_node("ReduceMax", ["codes"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]  # fmt: skip
    inputs, outputs = [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])]
    return model(nodes, inputs, outputs, [table, places])


def expanded_texts() -> onnx.ModelProto:
    """Return a regressor that makes as many copies of a text as the row says."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=1),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["whole", "axis"], ["count"]),
        helper.make_node("Expand", ["text", "count"], ["texts"]),
        helper.make_node("Size", ["texts"], ["size"]),
        helper.make_node("Cast", ["size"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "number"], ["y"]),
    ]
    inputs, outputs = [("x", TensorProto.FLOAT, [None, 1])], [("y", TensorProto.FLOAT, [None, 1])]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    return model(nodes, inputs, outputs, [text_tensor("text", b"t" * 100), axis])


def publish(file: onnx.ModelProto, artifact: Path, features: list[Feature], **keys) -> Path:
    """Write artifact and manifest; `keys` are those of the manifest."""
    table = {"kind": "table", "shape": [len(features)], "features": [feature.to_json() for feature in features]}
    with publishing.staging(artifact.parent) as folder:
        (folder / artifact.name).write_bytes(file.SerializeToString())
        publishing.publish(folder / artifact.name, artifact, engine="onnx", input=table, **keys)
    return artifact


def publish_colours(folder: Path) -> Path:
    """Publish `colours` with a probe: red."""
    probes = [{"features": ["red"], "value": 1.0}]
    return publish(colours(), folder / "colours_v1.onnx", [COLOURS], probes=probes)
