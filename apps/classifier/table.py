"""Turns rows as clients send them, arrays or objects by name, into a model's numbers, or names every mistake."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import prometheus_client as prometheus

from apps.serving.problems import MAX_ERRORS
from models.features import Feature

JSON_NAMES = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}
MAX_VALUES = 1_000_000  # of a request: rows may leave out features, so that a small body asks for many
MAX_RESULTS = 5_000_000  # of a request: of many classes or outputs, small rows make large answers
UNKNOWN_CODE = -1.0  # of a text that is no value of a category, where such are accepted
MAX_FLOAT32 = float(np.finfo(np.float32).max)

Place = tuple[str | int, ...]  # where a value is, below the field of a request
Mistake = tuple[Place, str]  # with the rule that is broken
ABSENT: Any = object()  # stands for a feature that an object leaves out


class RowsError(ValueError):
    """What is wrong with rows: `mistakes` has up to MAX_ERRORS + 1 places and rules."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        super().__init__("rows that break a rule")
        self.mistakes = list(islice(mistakes, MAX_ERRORS + 1))


class Table:
    """The features of a model's rows, in their order."""

    def __init__(
        self, features: Sequence[Feature], dtype: type[np.floating[Any]] = np.float32, outputs: int = 1
    ) -> None:
        """`dtype` is that of rows: float32 as forests compare them, float64 for others; `outputs` answer a row."""
        self.dtype, self._most = dtype, float(np.finfo(dtype).max)
        self.features = tuple(features)
        self.max_rows = max(1, min(MAX_VALUES // len(self.features), MAX_RESULTS // outputs))
        self.places = {feature.name: place for place, feature in enumerate(features)}
        self.values_outside = prometheus.Counter(
            "inference_values_outside_range", "Values outside the range of the training data.", registry=None
        )
        self._required = {feature.name for feature in features if feature.missing != "optional"}
        self._coders = [coder(feature, self._most) for feature in features]
        self._all_float = all(feature.kind == "float" for feature in features)
        self._may_miss = np.array([feature.missing != "refused" for feature in features])
        limits = [feature.range or (-math.inf, math.inf) for feature in features]
        with np.errstate(over="ignore"):  # a limit beyond float32 becomes infinite
            self._low, self._high = np.array(limits, np.float64).astype(dtype).T

    def rows(self, items: Sequence[tuple[Place, Any]]) -> np.ndarray:
        """Return `dtype` (n, n_features) of rows in JSON, each with its place; raise RowsError.

        A row is an array of all features, or an object by their names. A missing value becomes NaN.
        """
        rows = self._empty(len(items), items[0][0][:-1])
        if self._all_float and (numbers := self._floats([row for _, row in items])) is not None:
            return numbers.astype(self.dtype)
        for number, (_, item) in enumerate(items):
            if not self._fill(rows[number], item):
                raise RowsError(mistake for place, row in items for mistake in self._mistakes(place, row))
        return rows

    def columns(self, columns: Mapping[str, tuple[Place, Sequence[Any]]], count: int) -> np.ndarray:
        """Return `dtype` (count, n_features) of columns by feature, each with its place; raise RowsError."""
        rows = self._empty(count, next(iter(columns.values()))[0])
        mistakes: list[Mistake] = [((), f"{name} {rule}") for name, rule in self._lacking(columns)]
        for name, (place, values) in columns.items():
            if name not in self.places:
                mistakes.append((place, unknown_name(name, self.features)))
                continue
            encode, target = self._coders[self.places[name]], rows[:, self.places[name]]
            for row, value in enumerate(values):
                number = encode(value)
                if not isinstance(number, str):
                    target[row] = number
                elif len(mistakes) <= MAX_ERRORS:
                    mistakes.append(((*place, row), number))
        if mistakes:
            raise RowsError(mistakes)
        return rows

    def outside(self, rows: np.ndarray) -> np.ndarray:
        """Return bool (n, n_features): which values are outside the range of the training data; counts them too."""
        outside: np.ndarray = (rows < self._low) | (rows > self._high)
        if count := int(np.count_nonzero(outside)):
            self.values_outside.inc(count)
        return outside

    def _empty(self, rows: int, place: Place) -> np.ndarray:
        """Return rows of missing values; raise RowsError where there would be too many."""
        if rows > self.max_rows:
            raise RowsError([(place, f"must hold at most {self.max_rows} rows of {len(self.features)} features")])
        return np.full((rows, len(self.features)), np.nan, self.dtype)

    def _fill(self, target: np.ndarray, row: Any) -> bool:
        """Write a row into `target`, which is all missing; return False if it breaks a rule.

        It takes time for what the row has, not for the features that it leaves out.
        """
        if type(row) is list and len(row) == len(self.features):
            encoded = [encode(value) for encode, value in zip(self._coders, row, strict=True)]
        elif type(row) is dict and self._required <= row.keys() <= self.places.keys():
            encoded = [self._coders[self.places[name]](value) for name, value in row.items()]
        else:
            return False
        if any(isinstance(value, str) for value in encoded):
            return False
        target[[self.places[name] for name in row] if type(row) is dict else slice(None)] = encoded
        return True

    def _floats(self, rows: list[Any]) -> np.ndarray | None:
        """Return float64 rows of arrays that hold numbers and break no rule; None for all others."""
        width = len(self.features)
        if not all(type(row) is list and len(row) == width and {*map(type, row)} <= {int, float} for row in rows):
            return None
        try:
            numbers = np.array(rows, np.float64)
        except OverflowError:  # an integer beyond what a float holds
            return None
        good = (np.abs(numbers) <= self._most) | (np.isnan(numbers) & self._may_miss)
        return numbers if good.all() else None

    def _lacking(self, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield required features that are not in `row`, in their order, with the rule."""
        lacking = self._required - row.keys()
        for name in self.places:
            if name in lacking:
                yield name, f"{self._coders[self.places[name]](ABSENT)}"

    def _mistakes(self, place: Place, row: Any) -> Iterator[Mistake]:
        values: Iterable[tuple[str | int, Any]]
        if type(row) is dict:
            values = [(name, value) for name, value in row.items() if name in self.places]
            for name in row.keys() - self.places.keys():
                yield (*place, name), unknown_name(name, self.features)
            for name, rule in self._lacking(row):
                yield (*place, name), rule
        elif type(row) is list:
            if len(row) != len(self.features):
                yield place, f"must hold exactly {len(self.features)} values; {len(row)} were given"
            values = enumerate(row[: len(self.features)])
        else:
            json_type = JSON_NAMES.get(type(row), "a number")
            yield place, f"must be an array of {len(self.features)} values, or an object by name; {json_type} was given"
            return
        for key, value in values:
            coder = self._coders[key if isinstance(key, int) else self.places[key]]
            if isinstance(broken := coder(value), str):
                yield (*place, key), broken


def unknown_name(name: str, features: Sequence[Feature]) -> str:
    """Return the rule for a name that is no feature's."""
    known = ", ".join(feature.name for feature in features[:12]) + (", …" if len(features) > 12 else "")
    return f"is no feature of this model; its features are {known}"


def coder(feature: Feature, most: float = MAX_FLOAT32) -> Callable[[Any], float | str]:
    """Return the function that turns a value in JSON into the forest's number, or into the rule that it breaks."""
    encode = {"float": _float, "int": _int, "bool": _bool}.get(feature.kind) or partial(
        _category, _codes(feature), feature.unknown == "accepted"
    )
    held = "float32" if most == MAX_FLOAT32 else "float64"
    label = f" ({feature.name}{f', in {feature.unit}' if feature.unit else ''})"

    def value_of(value: Any) -> float | str:
        if value is ABSENT:
            hint = ". Send null where it is missing" if feature.missing == "null" else ""
            return math.nan if feature.missing == "optional" else f"is required{hint}"
        if value is None or value != value:
            return math.nan if feature.missing != "refused" else f"must not be missing{label}"
        try:
            number = encode(value)
        except OverflowError:
            number = math.inf
        if isinstance(number, str):
            return f"must be {number}; {_shown(value)} was given{label}"
        return number if abs(number) <= most else f"must be a number that {held} holds{label}"

    return value_of


def _float(value: Any) -> float | str:
    return float(value) if type(value) in (int, float) else "a number"


def _int(value: Any) -> float | str:
    whole = type(value) is int or (type(value) is float and (value.is_integer() or math.isinf(value)))
    return float(value) if whole else "a whole number"


def _bool(value: Any) -> float | str:
    return float(value) if type(value) is bool or (type(value) in (int, float) and value in (0, 1)) else "true or false"


def _category(codes: Mapping[Any, float], accepts_unknown: bool, value: Any) -> float | str:
    if type(value) in (int, float, str) and value in codes:
        return codes[value]
    if accepts_unknown:
        return UNKNOWN_CODE if type(value) is str else "a text"
    names = [f"{name}" for name in list(codes)[:12]] + (["…"] if len(codes) > 12 else [])
    return f"one of {', '.join(names)}"


def _codes(feature: Feature) -> Mapping[Any, float]:
    return {value: float(place if feature.has_texts else value) for place, value in enumerate(feature.values)}


def _shown(value: Any) -> str:
    if type(value) is str:
        return f"{value[:40]!r}"
    if type(value) in (int, float):
        return f"{value}" if abs(value) < 1e15 else "a much larger number"
    return JSON_NAMES[type(value)]
