"""What the forests and the ONNX models have in common."""

from typing import Protocol

import numpy as np

from apps.serving.runtime import Work


class RowError(Exception):
    """Why the model does not answer one row: `row` is its place, and the text follows "the model" in a sentence.

    `again` tells that the same row may be answered later.
    """

    def __init__(self, row: int, text: str, *, again: bool = False) -> None:
        super().__init__(text)
        self.row, self.again = row, again


class Evaluator(Protocol):
    """A model's arithmetic; a regressor has no `classes`."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def n_features(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def brief_rows(self) -> int:
        """How many rows take less time to evaluate than to hand to a thread."""
        ...

    @property
    def failure(self) -> str | None:
        """Why it can answer nothing until the process is restarted, or None."""
        ...

    def evaluate(self, rows: np.ndarray, work: Work | None = None) -> np.ndarray:
        """Return float64 (n, outputs) for `rows` (n, n_features): probabilities of the classes, or values.

        Raises RowError, and ClientGone soon after `work` is cancelled.
        """
        ...

    def answers(self, rows: np.ndarray, work: Work | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `evaluate` does, and intp (n,): the place of the class that is predicted for each row.

        It need not be the most probable one. A regressor's says nothing.
        """
        ...
