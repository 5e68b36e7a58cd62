"""Determines when the requests of an open loop are due. All times are seconds from the start of the run."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOST_ARRIVALS = 20_000_000  # 8 bytes each, in this process and in those that send


@dataclass(frozen=True)
class Segment:
    """A stretch of the run whose rate of arrivals (1/s) goes from `rate` to `end_rate` in a straight line.

    A constant rate has both equal; stages, steps and spikes are several segments; a pause has the rate 0.
    """

    seconds: float
    rate: float
    end_rate: float


def arrivals(segments: Sequence[Segment], rng: np.random.Generator | None = None) -> NDArray[np.float64]:
    """Return the intended times of requests, float64, sorted, from 0 to the sum of the segments' seconds.

    Evenly spaced arrivals come when the expected number of requests reaches 0, 1, 2 …; with `rng` the arrivals are
    those of a Poisson process of the same rates, by time change of a process of rate 1 (Lewis and Shedler, 1979).
    """
    seconds = np.array([segment.seconds for segment in segments])
    rates, ends = (np.array([getattr(segment, name) for segment in segments]) for name in ("rate", "end_rate"))
    starts, counts = (np.concatenate([[0.0], np.cumsum(part)]) for part in (seconds, seconds * (rates + ends) / 2))
    if not len(segments) or counts[-1] <= 0:
        return np.empty(0)
    reached = np.arange(np.ceil(counts[-1] - 1e-9)) if rng is None else _unit_poisson(float(counts[-1]), rng)
    index = np.searchsorted(counts, reached, side="right") - 1
    surplus, rate = reached - counts[index], rates[index]
    slope = (ends - rates)[index] / seconds[index]
    # The root of rate * t + slope * t**2 / 2 = surplus, in the form that is also exact for slope 0.
    root = rate + np.sqrt(np.maximum(rate**2 + 2 * slope * surplus, 0))
    within: NDArray[np.float64] = np.divide(2 * surplus, root, out=np.zeros_like(surplus), where=root > 0)
    return starts[index] + within


def trace(times: Sequence[float]) -> NDArray[np.float64]:
    """Return the arrivals of a recorded trace, in seconds: sorted, the first at 0.

    Raises ValueError if there are none, or a time is not finite.
    """
    recorded = np.sort(np.asarray(times, np.float64))
    if recorded.ndim != 1:
        raise ValueError(f"has {recorded.shape[1]} columns; a line is one time in seconds")
    if not len(recorded) or not np.isfinite(recorded).all():
        raise ValueError("has a time that is not finite" if len(recorded) else "has no times")
    return recorded - recorded[:1]


def read_trace(path: Path) -> NDArray[np.float64]:
    """Return the arrivals of a file with a time in seconds on each line; raise ValueError with the rule it breaks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of numpy, about a file without numbers
            times = np.loadtxt(path, ndmin=1, max_rows=MOST_ARRIVALS + 1, encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8; a line is a time in seconds") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {error}".rstrip(".")) from None
    if len(times) > MOST_ARRIVALS:
        raise ValueError(f"has more than {MOST_ARRIVALS:,} times")
    return trace(times.tolist())


def _unit_poisson(end: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return arrivals of a Poisson process of rate 1 in [0, end): their number is drawn first, then their places."""
    return np.sort(rng.uniform(0, end, rng.poisson(end)))
