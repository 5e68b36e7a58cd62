"""A decision forest as a few flat arrays, evaluated by numpy with scikit-learn's own results, bit for bit.

scikit-learn compares float32 inputs with float64 thresholds, adds the float64 leaf values of one tree after another
and divides once at the end. So does this.
"""

from dataclasses import dataclass

import numpy as np

ROWS = 64  # evaluated at once; more would leave the CPU's cache
CHECK_LEVELS = 8  # levels between two checks whether every walk has reached its leaf


@dataclass(frozen=True)
class Forest:
    """All nodes of all trees, numbered so that a node's right child follows its left child.

    Per node: the `feature` that it compares with `threshold`, its left `child`, and `leaf`, its row in `values`.
    A leaf is its own child and its threshold is infinite, so a walk that has reached a leaf stays there.
    """

    classes: tuple[str, ...]
    n_features: int
    depth: int
    roots: np.ndarray  # intp (trees,)
    feature: np.ndarray  # intp (nodes,)
    threshold: np.ndarray  # float64 (nodes,)
    child: np.ndarray  # intp (nodes,)
    leaf: np.ndarray  # intp (nodes,)
    values: np.ndarray  # float64 (leaves, classes)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return float64 (n, classes) for float32 `rows` (n, n_features) that hold no NaN."""
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(f"rows are {rows.dtype} {rows.shape}; float32 (n, {self.n_features}) is needed")
        if len(rows) <= ROWS:
            return self._evaluate(rows)
        return np.concatenate([self._evaluate(rows[n : n + ROWS]) for n in range(0, len(rows), ROWS)])

    def _evaluate(self, rows: np.ndarray) -> np.ndarray:
        inputs, nodes = rows.astype(np.float64).ravel(), self.roots[None, :]
        starts: np.ndarray | None = None  # of each row in `inputs`; a single row saves an addition a level
        if len(rows) != 1:
            starts, nodes = np.arange(0, inputs.size, self.n_features)[:, None], np.repeat(nodes, len(rows), axis=0)
        for level in range(1, self.depth + 1):
            before = nodes
            features = self.feature.take(nodes)
            if starts is not None:
                features += starts
            right = inputs.take(features) > self.threshold.take(nodes)
            nodes = self.child.take(nodes) + right
            if level % CHECK_LEVELS == 0 and np.array_equal(nodes, before):
                break  # every walk has reached its leaf; the deepest one is rarely reached
        summed: np.ndarray = np.add.reduce(self.values.take(self.leaf.take(nodes), axis=0), axis=1)
        summed /= len(self.roots)
        return summed
