"""Turns rows into the tensors that an ONNX model takes: each input has as many features as it is wide."""

from collections.abc import Sequence
from itertools import accumulate
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
        shapes = [_shape(value) for value in inputs]
        widths = [shape[1] if len(shape) == 2 else 1 for shape in shapes]
        if not 1 <= sum(widths) <= MAX_FEATURES:
            raise UnreadableError(f"it has {sum(widths)} features; 1 to {MAX_FEATURES} are served")
        self.one_row = any(shape[0] == 1 for shape in shapes)  # of a model that takes no more at once
        self.types = [value.type for value, width in zip(inputs, widths, strict=True) for _ in range(width)]
        columns: dict[str, list[int]] = {value.type: [] for value in inputs}  # the features of each type
        self._places: list[tuple[str, str, int | slice]] = []  # of each input: its name, and where among its type's
        ends = accumulate(widths)
        for value, shape, width, end in zip(inputs, shapes, widths, ends, strict=True):
            start = len(columns[value.type])
            self._places.append((value.name, value.type, slice(start, start + width) if len(shape) == 2 else start))
            columns[value.type] += range(end - width, end)
        self._columns = {dtype: _index(numbers) for dtype, numbers in columns.items()}
        self._text_columns = columns.get(TEXT, [])
        self._take_texts([np.array([UNKNOWN, UNKNOWN], object)] * len(self._text_columns))

    def describe(self, features: Sequence[Feature]) -> None:
        """Take the texts of `features`; raise UnreadableError where their kinds are not those of the inputs."""
        if len(features) != len(self.types):
            raise UnreadableError(f"it takes {len(self.types)} features, and {len(features)} are described")
        if mistakes := [text for pair in zip(features, self.types, strict=True) if (text := _mistake(*pair))]:
            raise UnreadableError("; ".join(mistakes[:5]))
        self._take_texts([_texts(features[column]) for column in self._text_columns])

    def tensors(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the tensors for float64 `rows` (n, features): NaN is missing, and a text is the place of its value.

        The place of a text that is no value is -1.
        """
        tensors = {dtype: self._converted(rows[:, columns], dtype) for dtype, columns in self._columns.items()}
        return {name: tensors[dtype][:, place] for name, dtype, place in self._places}

    def _converted(self, rows: np.ndarray, dtype: str) -> np.ndarray:
        """Return the features of one type, all at once: many inputs take little more time than one."""
        if dtype == TEXT:
            codes = np.where(np.isnan(rows), -2, rows).astype(np.intp)
            texts: np.ndarray = self._texts[codes + np.where(codes < 0, self._ends, self._starts)]
            return texts
        with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
            return rows.astype(NUMBERS[dtype], copy=False)

    def _take_texts(self, texts: Sequence[np.ndarray]) -> None:
        """Take what stands for the codes of each feature of texts; negative codes count from the end."""
        self._texts = np.concatenate([*texts, np.array([], object)])
        self._ends = np.cumsum([len(part) for part in texts], dtype=np.intp)
        self._starts = np.array([0, *self._ends[:-1]], np.intp)[: len(texts)]


def _index(columns: list[int]) -> slice | np.ndarray:
    """Return an index of `columns`, which increase; a slice, which copies nothing, where they follow one another."""
    if columns and columns[-1] - columns[0] == len(columns) - 1:
        return slice(columns[0], columns[-1] + 1)
    return np.array(columns, np.intp)


def _texts(feature: Feature) -> np.ndarray:
    """Return what stands for each code of a feature: its values, then missing (-2) and unknown (-1)."""
    texts = feature.values if feature.has_texts else ()
    return np.array([*texts, MISSING, UNKNOWN], object)


def _mistake(feature: Feature, dtype: str) -> str | None:
    """Return what is wrong with a feature for an input of this type: a tensor of integers holds no missing value."""
    rule = f"its input for {feature.name!r} is a {dtype}"
    if (dtype == TEXT) != feature.has_texts:
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


def _shape(value: Any) -> list[int]:
    """Return an input's shape, -1 for any number of rows: [rows, features], or [rows] of a single feature."""
    shape, name = value.shape, f"its input {str(value.name)[:80]!r}"
    if len(shape) not in (1, 2) or (len(shape) == 2 and type(shape[1]) is not int):
        raise UnreadableError(f"{name} has the shape {str(shape)[:80]}; rows are needed")
    rows = shape[0] if type(shape[0]) is int else -1
    if rows not in (-1, 1):
        raise UnreadableError(f"{name} takes exactly {rows} rows at once")
    return [rows, *shape[1:]]
