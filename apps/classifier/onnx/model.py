"""Evaluates an ONNX model with onnxruntime, which may not take more memory than the pod can spare."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.onnx import checking
from models.features import Feature

MAX_FEATURES = 100_000
ROWS = 256  # evaluated at once, so that a large request needs no more memory than these
NUMBERS = {
    "tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}  # fmt: skip
UNBOUNDED = ["ConstantFolding"]  # evaluates parts of a model while it is loaded, outside the bound on memory
FLOATS = ("tensor(float)", "tensor(double)")
TEXT = "tensor(string)"
UNKNOWN = "\x00"  # stands for every text that is no value of a category: models treat all of these alike
MISSING = ""  # stands for a missing text


class OnnxModel:
    """An ONNX model whose inputs take the features of a row in their order, each input as many as it is wide."""

    def __init__(self, content: bytes, features: Sequence[Feature] | None = None, classes: Sequence[str] = ()) -> None:
        """Load an ONNX file; raise UnreadableError, in one line without its path, where it is not served.

        `features` are those of the manifest, by default numbers.
        """
        self.classes = tuple(classes) or checking.labels(checking.parse(content))
        try:
            self._session = onnxruntime.InferenceSession(
                content, _options(), providers=["CPUExecutionProvider"], disabled_optimizers=UNBOUNDED
            )
        except Exception as error:  # onnxruntime has no class for all of its errors
            raise UnreadableError(f"onnxruntime does not load it: {_line(error)}") from None
        self._inputs = [(value.name, value.type, _width(value)) for value in self._session.get_inputs()]
        self.n_features = sum(width for _, _, width in self._inputs)
        if not 1 <= self.n_features <= MAX_FEATURES:
            raise UnreadableError(f"it has {self.n_features} features; 1 to {MAX_FEATURES} are served")
        wrong = [f"{name} of {dtype}" for name, dtype, _ in self._inputs if dtype != TEXT and dtype not in NUMBERS]
        outputs = [value.name for value in self._session.get_outputs() if value.type in FLOATS]
        if wrong or not outputs:
            raise UnreadableError(f"it takes {', '.join(wrong[:5])}" if wrong else "it has no output of numbers")
        self._output = outputs[-1]  # a classifier's first output is its label
        if features is not None and len(features) == self.n_features:
            self._texts = [_texts(feature) for feature in features]
        else:
            self._texts = [None] * self.n_features
        self.outputs = self.evaluate(np.zeros((1, self.n_features))).shape[1]
        if self.classes and self.outputs != len(self.classes):
            raise UnreadableError(f"it answers {self.outputs} numbers for {len(self.classes)} classes")

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """Return float64 (n, classes or outputs) for `rows` (n, n_features): probabilities, or values.

        A category of texts is the position of its value, or -1 for all others; NaN is a missing value.
        """
        if len(rows) <= ROWS:
            return self._evaluate(rows)
        return np.concatenate([self._evaluate(rows[n : n + ROWS]) for n in range(0, len(rows), ROWS)])

    def _evaluate(self, rows: np.ndarray) -> np.ndarray:
        feeds, start = {}, 0
        for name, dtype, width in self._inputs:
            feeds[name] = self._tensor(rows, dtype, start, width)
            start += width
        try:
            (result,) = self._session.run([self._output], feeds)
        except Exception as error:  # onnxruntime has no class for all of its errors
            raise UnreadableError(f"onnxruntime does not evaluate it: {_line(error)}") from None
        return np.asarray(result, np.float64).reshape(len(rows), -1)

    def _tensor(self, rows: np.ndarray, dtype: str, start: int, width: int) -> np.ndarray:
        part = rows[:, start : start + width]
        if dtype != TEXT:
            return np.ascontiguousarray(part, NUMBERS[dtype])
        columns = []
        for column, texts in zip(part.T, self._texts[start : start + width], strict=True):
            codes = np.where(np.isnan(column), -2, column).astype(np.intp)
            columns.append((texts if texts is not None else np.array([UNKNOWN, UNKNOWN], object))[codes])
        return np.stack(columns, axis=1)


def _texts(feature: Feature) -> np.ndarray | None:
    """Return what stands for each code of a feature: its values, then missing (-2) and unknown (-1)."""
    if not feature.values or not isinstance(feature.values[0], str):
        return None
    return np.array([*feature.values, MISSING, UNKNOWN], object)


def _width(value: Any) -> int:
    shape = value.shape
    if len(shape) > 2 or (len(shape) == 2 and type(shape[1]) is not int):
        raise UnreadableError(f"its input {str(value.name)[:80]!r} has the shape {str(shape)[:80]}; rows are needed")
    if shape and type(shape[0]) is int and shape[0] != 1:
        raise UnreadableError(f"its input {str(value.name)[:80]!r} takes exactly {shape[0]} rows at once")
    return int(shape[1]) if len(shape) == 2 else 1


def _options() -> Any:
    _bound_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # requests run beside each other
    options.log_severity_level = 4  # errors come as exceptions
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


@functools.cache
def _bound_memory() -> None:
    """Give all sessions of this process one arena, whose bound makes an operator fail instead of the pod."""
    info = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = onnxruntime.OrtArenaCfg({"max_mem": max_bytes(), "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(info, arena)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
