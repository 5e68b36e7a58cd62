"""The body of an inference request of the Open Inference Protocol: its tensors become a forest's rows."""

from typing import Annotated, Any, Final

import numpy as np
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictInt

from apps.classifier.api.tensors import Tensor, mistake
from apps.classifier.evaluator import Evaluator
from apps.classifier.model import SCALES, Classifier, scaled
from apps.classifier.table import Mistake, Place, RowsError, Table
from apps.serving.problems import MAX_ERRORS, Problem, pointer
from models.features import Feature

INPUT: Final = "features"
PROBABILITIES: Final = "probabilities"
LABEL: Final = "label"
VALUE: Final = "value"
MAX_INPUTS = 10_000
DATATYPES = {"float": "FP64", "int": "INT64", "bool": "BOOL"}  # of features by their kind; categories may be texts


class Parameters(BaseModel):
    """`scale` as in /predict; others are for other servers."""

    scale: StrictInt = 1
    binary_data_output: StrictBool = False


class Output(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


def _distinct(outputs: list[Output] | None) -> list[Output] | None:
    if outputs and len({output.name for output in outputs}) < len(outputs):
        raise ValueError("names an output twice; ask for each once")
    return outputs


class InferRequest(BaseModel):
    """Input tensors, and which outputs are wanted (by default all)."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=MAX_INPUTS)]
    outputs: Annotated[list[Output] | None, Field(max_length=2), AfterValidator(_distinct)] = None

    @property
    def binary_output(self) -> bool:
        """Whether outputs are bytes unless an output says otherwise."""
        return bool(self.parameters and self.parameters.binary_data_output)


def output_names(forest: Evaluator) -> list[str]:
    """Return the names of a forest's outputs."""
    return [PROBABILITIES, LABEL] if forest.classes else [VALUE]


def rows_of(request: InferRequest, content: memoryview, model: Classifier) -> np.ndarray:
    """Return float32 (n, n_features) of a request whose binary tensors are `content`.

    Raises Problem 422 or 400 for tensors that are not rows of the model, and for outputs that it does not have.
    """
    for number, output in enumerate(request.outputs or []):
        if output.name not in output_names(model.forest):
            names = " or ".join(map(repr, output_names(model.forest)))
            raise mistake(f"#/outputs/{number}/name", f"must be {names}")
    if model.table is None:
        rows, content = _pixels(request, content, model.forest.n_features)
    elif len(request.inputs) == 1 and request.inputs[0].name == INPUT and INPUT not in model.table.places:
        rows, content = _matrix(request.inputs[0], content, model.table)
    else:
        rows, content = _columns(request, content, model.table)
    if len(content):
        raise Problem(400, f"{len(content)} bytes are left behind the last tensor. Correct the sizes.")
    return rows


def datatype(feature: Feature) -> str:
    """Return the datatype of a feature's tensor."""
    return "BYTES" if feature.has_texts else DATATYPES.get(feature.kind, "FP64")


def _pixels(request: InferRequest, content: memoryview, n_features: int) -> tuple[np.ndarray, memoryview]:
    tensor, place = request.inputs[0], "#/inputs/0"
    scale = request.parameters.scale if request.parameters else 1
    if scale not in SCALES:
        raise mistake("#/parameters/scale", "must be 1 (the default) or 255")
    if len(request.inputs) > 1:
        raise mistake("#/inputs", "must hold one tensor")
    if tensor.name != INPUT:
        raise mistake(f"{place}/name", f"must be {INPUT!r}")
    _require_width(tensor, place, n_features)
    if tensor.datatype == "BYTES":
        raise mistake(f"{place}/datatype", "must be a number's")
    rows, rest = tensor.rows(content, place)
    outside = ~((rows >= 0) & (rows <= scale))
    if count := np.count_nonzero(outside):
        row, column = np.unravel_index(outside.argmax(), rows.shape)
        first = f"{rows[row, column]} was given at row {row}, column {column}"
        raise mistake(f"{place}/data", f"must hold numbers from 0 to {scale}; {first} ({count} are outside)")
    return scaled(rows, scale), rest


def _matrix(tensor: Tensor, content: memoryview, table: Table) -> tuple[np.ndarray, memoryview]:
    """Read a table in one tensor, a row a line."""
    _require_width(tensor, "#/inputs/0", len(table.features))
    values, rest = tensor.values(content, "#/inputs/0")
    flat = values if isinstance(values, list) else values.tolist()
    width = len(table.features)
    lines: list[tuple[Place, Any]] = [((row,), flat[row * width : (row + 1) * width]) for row in range(tensor.shape[0])]
    try:
        return table.rows(lines), rest
    except RowsError as error:
        mistakes: list[Mistake] = [(("inputs", 0, "data", *place), rule) for place, rule in error.mistakes]
        raise _problem(mistakes) from None


def _columns(request: InferRequest, content: memoryview, table: Table) -> tuple[np.ndarray, memoryview]:
    """Read a table in one tensor a feature."""
    count = request.inputs[0].shape[0]
    columns: dict[str, tuple[Place, list[Any]]] = {}
    for number, tensor in enumerate(request.inputs):
        place = f"#/inputs/{number}"
        if tensor.name in columns:
            raise mistake(f"{place}/name", "must name each feature once")
        if tensor.shape not in ([count], [count, 1]) or count == 0:
            rule = "must be [n] or [n, 1], the same n, at least 1, for every tensor"
            raise mistake(f"{place}/shape", f"{rule}; {tensor.shape} was given")
        values, content = tensor.values(content, place)
        columns[tensor.name] = (
            ("inputs", number, "data"),
            values if isinstance(values, list) else values.tolist(),
        )
    try:
        return table.columns(columns, count), content
    except RowsError as error:
        raise _problem(error.mistakes) from None


def _require_width(tensor: Tensor, place: str, n_features: int) -> None:
    if len(tensor.shape) != 2 or tensor.shape[0] == 0 or tensor.shape[1] != n_features:
        raise mistake(f"{place}/shape", f"must be [n, {n_features}], n at least 1; {tensor.shape} was given")


def _problem(mistakes: list[Mistake]) -> Problem:
    errors = [{"pointer": pointer(place), "detail": f"{rule}."} for place, rule in mistakes[: MAX_ERRORS + 1]]
    return Problem(422, " ".join(f"{error['pointer']}: {error['detail']}" for error in errors[:3]), errors=errors)
