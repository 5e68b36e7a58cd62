"""A decision forest as a few flat arrays, evaluated by numpy with scikit-learn's own results, bit for bit.

scikit-learn compares float32 inputs with float64 thresholds, adds the float64 leaf values of one tree after another
and divides once at the end. So does this.
"""

import math
from dataclasses import dataclass

import numpy as np

from apps.serving.runtime import Work

ROWS = 64  # evaluated at once; more would leave the CPU's cache
CHECK_LEVELS = 8  # levels between two checks whether every walk has reached its leaf


@dataclass(frozen=True, kw_only=True)
class Forest:
    """All nodes of all trees, numbered so that a node's right child follows its left child.

    Per node: the `feature` that it compares with `threshold`, whether a missing value goes right, its left `child`, and
    `leaf`, its row in `values`. A leaf is its own child and its threshold is infinite, so a walk that has reached a
    leaf stays there. A regressor has no `classes`; its `values` are those of its outputs.
    """

    classes: tuple[str, ...]
    n_features: int
    feature_names: tuple[str, ...]  # of the frame that it was trained on; none if that was an array
    depth: int
    roots: np.ndarray  # intp (trees,)
    feature: np.ndarray  # intp (nodes,)
    threshold: np.ndarray  # float64 (nodes,)
    missing_right: np.ndarray  # bool (nodes,)
    child: np.ndarray  # intp (nodes,)
    leaf: np.ndarray  # intp (nodes,)
    values: np.ndarray  # float64 (leaves, classes or outputs)

    brief_rows, failure = 4, None

    @property
    def outputs(self) -> int:
        """The numbers that a row is answered by."""
        return int(self.values.shape[1])

    def evaluate(self, rows: np.ndarray, work: Work | None = None) -> np.ndarray:
        """Return float64 (n, classes or outputs) for float32 `rows` (n, n_features): probabilities, or values.

        NaN is a missing value. Raises ClientGone soon after `work` is cancelled.
        """
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(f"rows are {rows.dtype} {rows.shape}; float32 (n, {self.n_features}) is needed")
        if len(rows) <= ROWS:
            return self._evaluate(rows)
        parts = []
        for start in range(0, len(rows), ROWS):
            if work is not None:
                work.check()
            parts.append(self._evaluate(rows[start : start + ROWS]))
        return np.concatenate(parts)

    def answers(self, rows: np.ndarray, work: Work | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `evaluate` does, and intp (n,): the place of the most probable class, the first of equal ones."""
        numbers = self.evaluate(rows, work)
        return numbers, numbers.argmax(axis=1)

    def _evaluate(self, rows: np.ndarray) -> np.ndarray:
        inputs, nodes = rows.astype(np.float64).ravel(), self.roots[None, :]
        missing: np.ndarray | None = None
        if math.isnan(inputs.dot(inputs)):  # the cheapest way to see a NaN: pixels never have one
            missing = np.isnan(inputs)
        starts: np.ndarray | None = None  # of each row in `inputs`; a single row saves an addition a level
        if len(rows) != 1:
            starts, nodes = np.arange(0, inputs.size, self.n_features)[:, None], np.repeat(nodes, len(rows), axis=0)
        for level in range(1, self.depth + 1):
            before = nodes
            features = self.feature.take(nodes)
            if starts is not None:
                features += starts
            right = inputs.take(features) > self.threshold.take(nodes)
            if missing is not None:
                right |= missing.take(features) & self.missing_right.take(nodes)
            nodes = self.child.take(nodes) + right
            if level % CHECK_LEVELS == 0 and np.array_equal(nodes, before):
                break  # every walk has reached its leaf; the deepest one is rarely reached
        values = self.values.take(self.leaf.take(nodes), axis=0)
        if values.shape[2] > 1:
            summed: np.ndarray = np.add.reduce(values, axis=1)
        else:  # numpy would add neighbours in memory in pairs, which rounds differently
            summed = np.add.accumulate(values, axis=1)[:, -1]
        summed /= len(self.roots)
        return summed
