"""Chooses the next token from logits: the most likely one, or one drawn by the rules of transformers."""

from collections.abc import Callable

import torch
from transformers.generation.logits_process import (
    LogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from apps.lm.engines.protocol import Sampling

Choose = Callable[[torch.Tensor], int]


def chooser(sampling: Sampling) -> Choose:
    """Return a function from one sequence's logits, of shape (vocabulary,), to a token. It has its own random state."""
    if sampling.temperature == 0:
        return lambda logits: int(logits.argmax())
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k is not None:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    previous = torch.empty(1, 0, dtype=torch.long)  # earlier tokens, which these warpers do not read

    def draw(logits: torch.Tensor) -> int:
        scores = logits[None].float()
        for warper in warpers:
            scores = warper(previous, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))

    return draw
