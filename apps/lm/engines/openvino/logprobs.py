"""Records the log-probabilities of tokens: log-softmax of the model's logits, before anything changes them."""

from collections.abc import Sequence

import numpy as np

from apps.lm.engines.protocol import Logprobs, TokenLogprob
from apps.lm.engines.sampling import Logits


def record(logprobs: Logprobs, tokens: Sequence[int], logits: Logits) -> None:
    """Add `tokens` to `logprobs`; the logits before each of them have the shape (tokens, vocabulary)."""
    count = min(logprobs.top, logits.shape[-1])
    for token, row in zip(tokens, logits, strict=True):
        shifted = row - np.float64(row.max())
        scores = shifted - np.log(np.exp(shifted).sum())
        top = np.argpartition(scores, -count)[-count:] if count else np.empty(0, np.int64)
        top = top[np.argsort(-scores[top])]
        likely = list(zip(top.tolist(), scores[top].tolist(), strict=True))
        logprobs.tokens.append(TokenLogprob(token, float(scores[token]), likely))
