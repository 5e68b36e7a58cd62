"""Measures how far a converted model's answers are from the original's; beyond a bound nothing is published."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.classifier.onnx.model import OnnxModel

BOUND = 1e-6  # of a probability or value, relative for values above 1
MAX_EXAMPLES = 3


class Difference(Exception):
    """Rows whose answers are not the original's, with both answers."""

    def __init__(self, rows: Sequence[int], actual: np.ndarray, expected: np.ndarray) -> None:
        super().__init__("rows that are answered differently")
        self.rows, self.actual, self.expected = rows, actual, expected

    def text(self, requests: Sequence[Any]) -> str:
        """Return which rows differ, and the first of them."""
        examples = [
            f"{json.dumps(requests[n])[:200]} gives {self.actual[n].tolist()[:4]}, not {self.expected[n].tolist()[:4]}"
            for n in self.rows[:MAX_EXAMPLES]
        ]
        count = f"{len(self.rows)} of {len(self.expected)} rows"
        return f"{count} differ by more than {BOUND} or in their label: {', '.join(examples)}"


def measure(model: OnnxModel, rows: np.ndarray, expected: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return the manifest's `metrics.agreement`; raise Difference where an answer is outside the bound."""
    actual, predicted = model.answers(rows)
    difference = np.abs(actual - expected) / np.maximum(1, np.abs(expected))
    wrong = ~(difference <= BOUND).all(axis=1)  # NaN is wrong too
    if model.classes:
        wrong |= np.array(model.classes, object)[predicted] != np.array(labels, object)
    if wrong.any():
        raise Difference(np.flatnonzero(wrong).tolist(), actual, expected)
    return {"reference": "original", "rows": len(rows), "largest_difference": float(difference.max()), "bound": BOUND}
