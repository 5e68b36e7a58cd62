"""Percentiles by nearest rank: the smallest value that at least p % of the values do not exceed."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

PERCENTS = (50, 90, 95, 99)


Count = TypeVar("Count", int, NDArray[np.int64])


def rank(count: Count, percent: int) -> Count:
    """Return the index of the percentile among `count` sorted values; as numpy's method "inverted_cdf"."""
    return -(-count * percent // 100) - 1


def distribution(seconds: NDArray[np.floating]) -> dict[str, float] | None:
    """Return {p50, p90, p95, p99, max, mean}, or None without values. Sorts `seconds` in place, to save memory."""
    if not len(seconds):
        return None
    seconds.sort()
    figures = {f"p{percent}": float(seconds[rank(len(seconds), percent)]) for percent in PERCENTS}
    return figures | {"max": float(seconds[-1]), "mean": float(seconds.mean(dtype=np.float64))}


def nearest_rank(values: Sequence[float], percent: int) -> float:
    """Return one percentile; infinity without values."""
    return sorted(values)[rank(len(values), percent)] if values else math.inf


def by_group(
    groups: NDArray[np.int32], values: NDArray[np.float64], percents: Sequence[int], count: int
) -> dict[int, list[float | None]]:
    """Return, by percent, the percentile of the values of each group 0 … count - 1; None where a group is empty."""
    order = np.lexsort((values, groups))
    sizes = np.bincount(groups, minlength=count)
    starts, full = np.cumsum(sizes) - sizes, np.flatnonzero(sizes)
    figures: dict[int, list[float | None]] = {percent: [None] * count for percent in percents}
    for percent in percents:
        ranked = values[order[starts[full] + rank(sizes[full], percent)]]
        for group, value in zip(full.tolist(), ranked.tolist(), strict=True):
            figures[percent][group] = value
    return figures
