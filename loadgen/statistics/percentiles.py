"""Percentiles by nearest rank: the smallest value that at least p % of the values do not exceed."""

import numpy as np
from numpy.typing import NDArray

PERCENTS = (50, 90, 95, 99)


def rank(count: NDArray[np.int64] | int, percent: int) -> NDArray[np.int64] | int:
    """Return the index of the percentile among `count` sorted values; as numpy's method "inverted_cdf"."""
    return -(-count * percent // 100) - 1


def distribution(seconds: NDArray[np.floating]) -> dict[str, float] | None:
    """Return {p50, p90, p95, p99, max, mean}, or None without values."""
    if not len(seconds):
        return None
    ordered = np.sort(seconds)
    figures = {f"p{percent}": float(ordered[rank(len(ordered), percent)]) for percent in PERCENTS}
    return figures | {"max": float(ordered[-1]), "mean": float(ordered.mean(dtype=np.float64))}


def by_group(groups: NDArray[np.int64], values: NDArray[np.float64], percent: int, count: int) -> list[float | None]:
    """Return the percentile of the values of each group 0 … count - 1; None where a group is empty."""
    order = np.lexsort((values, groups))
    starts = np.searchsorted(groups[order], np.arange(count + 1))
    sizes = np.diff(starts)
    full = np.flatnonzero(sizes)
    figures: list[float | None] = [None] * count
    for group, value in zip(full, values[order[starts[full] + rank(sizes[full], percent)]], strict=True):
        figures[group] = float(value)
    return figures
