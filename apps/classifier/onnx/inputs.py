"""Turns rows into the tensors that an ONNX model takes: each input has as many features as it is wide."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from apps.classifier.artifact.content import UnreadableError
from models.features import Feature

MAX_FEATURES = 100_000
TEXT = "tensor(string)"
FLOATS = {"tensor(double)": np.float64, "tensor(float)": np.float32}
WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}
NUMBERS = FLOATS | WHOLE
UNKNOWN = "\x00"  # stands for every text that is no value of a category: models treat all of these alike
MISSING = ""  # stands for a missing text


class Inputs:
    """The inputs of a model, in their order, and the kinds of features that they take."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        """`inputs` are onnxruntime's; raise UnreadableError where they do not take rows of features."""
        if wrong := [f"{value.name} of {value.type}" for value in inputs if value.type not in NUMBERS | {TEXT: str}]:
            raise UnreadableError(f"it takes {', '.join(wrong[:5])[:200]}")
        self._inputs = [(value.name, value.type, _shape(value)) for value in inputs]
        self.types = [dtype for _, dtype, shape in self._inputs for _ in range(_width(shape))]  # of each feature
        self.one_row = any(shape[0] == 1 for _, _, shape in self._inputs)  # of a model that takes no more at once
        if not 1 <= len(self.types) <= MAX_FEATURES:
            raise UnreadableError(f"it has {len(self.types)} features; 1 to {MAX_FEATURES} are served")
        self._texts: list[np.ndarray] = [np.array([UNKNOWN, UNKNOWN], object)] * len(self.types)

    def describe(self, features: Sequence[Feature]) -> None:
        """Take the texts of `features`; raise UnreadableError where their kinds are not those of the inputs."""
        if len(features) != len(self.types):
            raise UnreadableError(f"it takes {len(self.types)} features, and {len(features)} are described")
        if mistakes := [text for pair in zip(features, self.types, strict=True) if (text := _mistake(*pair))]:
            raise UnreadableError("; ".join(mistakes[:5]))
        self._texts = [_texts(feature) for feature in features]

    def tensors(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the tensors for float64 `rows` (n, features): NaN is missing, and a text is the place of its value.

        The place of a text that is no value is -1.
        """
        return dict(self._tensors(rows))

    def _tensors(self, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        start = 0
        for name, dtype, shape in self._inputs:
            end = start + _width(shape)
            part = rows[:, start:end]
            if dtype == TEXT:
                codes = np.where(np.isnan(part), -2, part).astype(np.intp)
                columns = zip(self._texts[start:end], codes.T, strict=True)
                tensor = np.stack([texts[column] for texts, column in columns], axis=1)
            else:
                with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
                    tensor = np.ascontiguousarray(part, NUMBERS[dtype])
            yield name, tensor if len(shape) == 2 else tensor[:, 0]
            start = end


def _texts(feature: Feature) -> np.ndarray:
    """Return what stands for each code of a feature: its values, then missing (-2) and unknown (-1)."""
    texts = feature.values if _has_texts(feature) else ()
    return np.array([*texts, MISSING, UNKNOWN], object)


def _has_texts(feature: Feature) -> bool:
    return bool(feature.values) and isinstance(feature.values[0], str)


def _mistake(feature: Feature, dtype: str) -> str | None:
    """Return what is wrong with a feature for an input of this type: a tensor of integers holds no missing value."""
    rule = f"its input for {feature.name!r} is a {dtype}"
    if (dtype == TEXT) != _has_texts(feature):
        return f"{rule}, and the feature is {'not ' if dtype == TEXT else ''}a category of texts"
    if dtype in WHOLE and feature.missing != "refused":
        return f"{rule}, which holds no missing values, and the feature may be missing"
    if dtype in WHOLE and not _is_whole(feature, dtype):
        return f"{rule}, and the feature is of the kind {feature.kind}"
    return None


def _is_whole(feature: Feature, dtype: str) -> bool:
    if dtype == "tensor(bool)":
        return feature.kind == "bool"
    return feature.kind in ("int", "bool") or all(value == int(value) for value in feature.values or (0.5,))


def _width(shape: list[int]) -> int:
    return shape[1] if len(shape) == 2 else 1


def _shape(value: Any) -> list[int]:
    """Return an input's shape, -1 for any number of rows: [rows, features], or [rows] of a single feature."""
    shape, name = value.shape, f"its input {str(value.name)[:80]!r}"
    if len(shape) not in (1, 2) or (len(shape) == 2 and type(shape[1]) is not int):
        raise UnreadableError(f"{name} has the shape {str(shape)[:80]}; rows are needed")
    rows = shape[0] if type(shape[0]) is int else -1
    if rows not in (-1, 1):
        raise UnreadableError(f"{name} takes exactly {rows} rows at once")
    return [rows, *shape[1:]]
