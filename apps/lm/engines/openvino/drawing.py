"""Draws tokens by the rules of transformers, which is not installed beside OpenVINO."""

import numpy as np

from apps.lm.engines.protocol import Sampling
from apps.lm.engines.sampling import Draw, Logits


def drawing(sampling: Sampling) -> Draw:
    """Return the function that draws the tokens of one sequence. It has its own random state."""
    random = np.random.default_rng(None if sampling.seed is None else sampling.seed % 2**64)

    def draw(logits: Logits) -> int:
        tokens, weights = candidates(logits, sampling)
        sums = weights.cumsum()
        return int(tokens[np.searchsorted(sums, random.random() * sums[-1], side="right")])

    return draw


def candidates(logits: Logits, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens that can be drawn, and their probabilities up to a common factor."""
    scores = logits / np.float64(sampling.temperature)
    tokens = np.arange(len(scores))
    if sampling.top_k is not None and sampling.top_k < len(scores):
        tokens = np.flatnonzero(scores >= np.partition(scores, -sampling.top_k)[-sampling.top_k])
    weights = np.exp(scores[tokens] - scores.max())
    if sampling.top_p is not None:
        kept = _most_likely(weights, sampling.top_p)
        tokens, weights = tokens[kept], weights[kept]
    kept = np.flatnonzero((weights >= sampling.min_p * weights.max()) & (weights > 0))
    return tokens[kept], weights[kept]


def _most_likely(weights: np.ndarray, share: float) -> np.ndarray:
    """Return the indices of the fewest weights that have `share` of their sum, at least one.

    The others have less than the rest together. So weights below an equal part of the rest are among the others, and
    need not be sorted.
    """
    rest = (1 - share) * weights.sum()
    large = np.flatnonzero(weights > rest / len(weights))
    ascending = large[np.argsort(weights[large])]
    below = weights.sum() - weights[large].sum()
    others = int(np.searchsorted(below + weights[ascending].cumsum(), rest, side="right"))
    return ascending[min(others, len(ascending) - 1) :] if len(ascending) else np.array([weights.argmax()])
