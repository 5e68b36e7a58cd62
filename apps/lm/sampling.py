"""Chooses the next token from logits: the best one, or one drawn by transformers' own rules."""

from collections.abc import Callable

import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from apps.lm.engine import Sampling

Choose = Callable[[torch.Tensor], int]


def chooser(sampling: Sampling) -> Choose:
    """Return a function of one sequence's logits, of shape (vocabulary,), to a token; it has its own randomness."""
    if sampling.temperature == 0:
        return lambda logits: int(logits.argmax())
    steps = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k is not None:
        steps.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        steps.append(TopPLogitsWarper(sampling.top_p))
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    nothing = torch.empty(1, 0, dtype=torch.long)  # the tokens before, which these steps do not look at

    def draw(logits: torch.Tensor) -> int:
        scores = logits[None].float()
        for step in steps:
            scores = step(nothing, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))

    return draw
