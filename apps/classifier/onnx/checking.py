"""Reads an ONNX file without running it, and refuses what could reach other files, other code, or never end."""

from collections.abc import Iterator

import onnx
import onnx.numpy_helper
from google.protobuf.message import DecodeError

from apps.classifier.artifact.content import UnreadableError

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
ENDLESS = {"Loop", "SequenceMap"}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
LABELS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
CHANGES_OF_FORM, SELECTIONS = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze"}, {"ArrayFeatureExtractor", "Gather"}
MAX_NODES = 100_000


def parse(content: bytes) -> onnx.ModelProto:
    """Return the model in an ONNX file; raise UnreadableError, in one line without its path, where it is refused."""
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise UnreadableError("it is not an ONNX model, or is damaged") from None
    if not model.graph.node or not model.graph.output:
        raise UnreadableError("it is not an ONNX model, or has no nodes or outputs")
    local = {(function.domain, function.name) for function in model.functions}
    nodes = [*_nodes(model.graph), *(node for function in model.functions for node in _nodes(function))]
    if len(nodes) > MAX_NODES:
        raise UnreadableError(f"it has {len(nodes)} nodes; 1 to {MAX_NODES} are served")
    foreign = {f"{node.domain}:{node.op_type}" for node in nodes if _is_foreign(node, local)}
    _refuse("operators that ONNX does not define", foreign)
    _refuse("operators that may never end", {node.op_type for node in nodes} & ENDLESS)
    _refuse("operators whose results are random", {node.op_type for node in nodes} & RANDOM)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model)):
        raise UnreadableError("its weights lie in other files. Save it as one: onnx.save(onnx.load(PATH), NEW_PATH)")
    return model


def labels(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the names of the classes that a classifier's label is taken from; none for a regressor."""
    for node in reversed(model.graph.node):
        for attribute in node.attribute:
            if attribute.name in LABELS and (attribute.strings or attribute.ints):
                return tuple(text.decode() for text in attribute.strings) or tuple(map(str, attribute.ints))
    makers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    node = makers.get(model.graph.output[0].name)
    for _ in model.graph.node:  # a damaged file may have a circle
        if node is not None and node.op_type in CHANGES_OF_FORM and node.input:
            node = makers.get(node.input[0])
    if node is None or node.op_type not in SELECTIONS or not node.input or node.input[0] not in constants:
        return ()
    values = onnx.numpy_helper.to_array(constants[node.input[0]]).ravel().tolist()
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in values)


def _refuse(noun: str, names: set[str]) -> None:
    if names:
        raise UnreadableError(f"it has {noun}: {', '.join(sorted(names)[:5])[:200]}")


def _is_foreign(node: onnx.NodeProto, local: set[tuple[str, str]]) -> bool:
    return node.domain not in DOMAINS and (node.domain, node.op_type) not in local


def _nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield all tensors of a model."""
    for graph in (model.graph, *model.functions):
        yield from _graph_tensors(graph)


def _graph_tensors(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.TensorProto]:
    if isinstance(graph, onnx.GraphProto):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(inner)
