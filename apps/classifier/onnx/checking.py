"""Reads an ONNX file without running it, and refuses what could reach other files, other code, or never end."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
import onnx.helper
import onnx.numpy_helper
from google.protobuf.message import DecodeError

from apps.classifier.artifact.content import UnreadableError
from models.features import MAX_NAME

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
GROWING = {"StringConcat"}  # texts lie outside the bound on memory
ENDLESS = {"Loop", "SequenceMap"}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
LABELS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
CHANGES_OF_FORM, SELECTIONS = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze"}, {"ArrayFeatureExtractor", "Gather"}
# Operators whose results can be as large as a value of a row says, so that one row may take long.
SIZED = {"ConstantOfShape", "DFT", "Expand", "OneHot", "Pad", "Range", "Resize", "STFT", "Scan", "Tile", "Upsample"}
MAX_NODES, MAX_FUNCTIONS = 100_000, 500
MAX_TEXT_BYTES = 4 * MAX_NAME
NUMBER_BYTES = 32  # of a number that becomes a text
TEXT_ATTRIBUTES = {"default_string", "value_string"}  # beside those that list texts
TEXTS_OR_INTEGERS = (onnx.TensorProto.STRING, onnx.TensorProto.INT64, onnx.TensorProto.INT32)  # types of labels


@dataclass(frozen=True)
class Checked:
    """A model that may be loaded: its file, without maps as outputs, and what its graph tells."""

    content: bytes
    labels: tuple[str, ...]  # the names of the classes; none for a regressor
    has_sizes_from_values: bool
    longest_text: int  # bytes, of those that the graph makes


def parse(content: bytes) -> Checked:
    """Return the model in an ONNX file; raise UnreadableError, in one line without its path, where it is refused.

    Raises MemoryError where memory is bounded, and reading the file takes more.
    """
    model = _checked(content)
    longest = max(_text_lengths(model), default=0)
    if longest > MAX_TEXT_BYTES:
        raise UnreadableError(f"it holds a text of {longest} bytes; at most {MAX_TEXT_BYTES} are served. Shorten it")
    names = labels(model)
    if _drop_maps(model):
        content = model.SerializeToString()
    sized = any(node.op_type in SIZED for node in _all_nodes(model))
    return Checked(content, names, sized, longest)


def _checked(content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        if "alloc failed" in str(error):
            raise MemoryError from None
        raise UnreadableError("it is not an ONNX model, or is damaged") from None
    if not model.graph.node or not model.graph.output:
        raise UnreadableError("it is not an ONNX model, or has no nodes or outputs")
    if len(model.functions) > MAX_FUNCTIONS:
        raise UnreadableError(f"it has {len(model.functions)} functions; at most {MAX_FUNCTIONS} are served")
    if _expanded(model) > MAX_NODES:
        raise UnreadableError(f"it has more than {MAX_NODES} nodes, those of its functions counted for each call")
    local = {(function.domain, function.name) for function in model.functions}
    nodes = [*_all_nodes(model)]
    foreign = {f"{node.domain}:{node.op_type}" for node in nodes if _is_foreign(node, local)}
    _refuse("operators that ONNX does not define", foreign)
    _refuse("operators whose texts may take any memory", {node.op_type for node in nodes} & GROWING)
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
    if model.graph.output[0].type.tensor_type.elem_type not in TEXTS_OR_INTEGERS:
        return ()
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


def _drop_maps(model: onnx.ModelProto) -> bool:
    """Let a model answer the numbers that it would put into maps, as skl2onnx writes them; return whether it did."""
    maps = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap" and node.output}
    dropped = [output for output in model.graph.output if output.name in maps]
    for output in dropped:
        node = maps[output.name]
        model.graph.node.remove(node)
        output.CopyFrom(onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, None))
    return bool(dropped)


def _text_lengths(model: onnx.ModelProto) -> Iterator[int]:
    """Yield the bytes of each text that the graph may make values of."""
    for tensor in _tensors(model):
        yield from map(len, tensor.string_data)
    for node in _all_nodes(model):
        for attribute in node.attribute:
            if attribute.name != "nodes_modes":  # of a tree's comparisons
                yield from map(len, attribute.strings)
            if attribute.name in TEXT_ATTRIBUTES:
                yield len(attribute.s)
            if attribute.name == "to" and attribute.i == onnx.TensorProto.STRING:
                yield NUMBER_BYTES


def _refuse(noun: str, names: set[str]) -> None:
    if names:
        raise UnreadableError(f"it has {noun}: {', '.join(sorted(names)[:5])[:200]}")


def _refuse_sparse(tensors: object) -> None:
    """Refuse tensors that take little in the file and much once onnxruntime has loaded them."""
    if tensors:
        raise UnreadableError("it has sparse tensors. Save them dense")


def _is_foreign(node: onnx.NodeProto, local: set[tuple[str, str]]) -> bool:
    return node.domain not in DOMAINS and (node.domain, node.op_type) not in local


def _expanded(model: onnx.ModelProto) -> int:
    """Return how many nodes a model has once its functions are in the place of their calls."""
    functions = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(node: onnx.NodeProto) -> int:
        name = node.domain, node.op_type
        if name not in functions:
            return 1
        if name not in sizes:
            sizes[name] = MAX_NODES + 1  # of one that calls itself
            sizes[name] = sum(map(size, _nodes(functions[name])))
        return sizes[name]

    return sum(map(size, _nodes(model.graph)))


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a model and of its functions."""
    for graph in (model.graph, *model.functions):
        yield from _nodes(graph)


def _nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield all tensors of a model; raise UnreadableError for sparse ones."""
    for graph in (model.graph, *model.functions):
        yield from _graph_tensors(graph)


def _graph_tensors(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.TensorProto]:
    if isinstance(graph, onnx.GraphProto):
        yield from graph.initializer
        _refuse_sparse(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            _refuse_sparse(attribute.HasField("sparse_tensor") or attribute.sparse_tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(inner)
