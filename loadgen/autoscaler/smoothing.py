"""Single seconds vary with single requests: means and medians over enough of them to tell a change from chance."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

FEWEST_SECONDS, FEWEST_REQUESTS = 5, 20


def width(requests: Sequence[int]) -> int:
    """How many seconds have FEWEST_REQUESTS of these requests a second, on average; at least FEWEST_SECONDS."""
    return max(FEWEST_SECONDS, ceil(FEWEST_REQUESTS * len(requests) / max(sum(requests), 1)))


def means(requests: Sequence[int]) -> NDArray[np.float64]:
    """The mean rate around each second; at the ends, of the seconds that there are."""
    length, wide = len(requests), width(requests)
    sums, starts = np.concatenate([[0.0], np.cumsum(requests)]), np.arange(length) - wide // 2
    low, high = np.maximum(starts, 0), np.minimum(starts + wide, length)
    result: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return result


def medians(values: Sequence[float | None], requests: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Seconds, and the median around each of the values that are known; both empty if too few are."""
    known = [(second, value) for second, value in enumerate(values) if value is not None]
    if len(known) < FEWEST_SECONDS:
        return np.empty(0, np.int64), np.empty(0)
    wide = min(width(requests), len(known))
    windows = np.lib.stride_tricks.sliding_window_view([value for _, value in known], wide)
    result = np.median(windows, axis=1)
    seconds = np.asarray([second for second, _ in known[wide // 2 :]])
    return seconds[: len(result)], result
