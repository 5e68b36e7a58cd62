"""Records the log-probabilities of tokens: log-softmax of the model's logits, before anything changes them."""

from collections.abc import Sequence

import torch

from apps.lm.engines.protocol import Logprobs, TokenLogprob


def record(logprobs: Logprobs, tokens: Sequence[int], logits: torch.Tensor) -> None:
    """Add `tokens` to `logprobs`; the logits before each of them have the shape (tokens, vocabulary)."""
    scores = logits.log_softmax(-1)
    chosen = scores[torch.arange(len(tokens)), torch.tensor(tokens, dtype=torch.long)].tolist()
    top = scores.topk(min(logprobs.top, scores.shape[-1]))
    for token, logprob, values, indices in zip(tokens, chosen, top.values.tolist(), top.indices.tolist(), strict=True):
        logprobs.tokens.append(TokenLogprob(token, logprob, list(zip(indices, values, strict=True))))
