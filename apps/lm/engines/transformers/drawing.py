"""Draws tokens as transformers does: its processors restrict them, and torch draws."""

import torch
from transformers.generation.logits_process import (
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from apps.lm.engines.protocol import Sampling
from apps.lm.engines.sampling import Draw, Logits


def drawing(sampling: Sampling) -> Draw:
    """Return the function that draws the tokens of one sequence. It has its own random state."""
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k is not None:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    previous = torch.empty(1, 0, dtype=torch.long)  # earlier tokens, which these warpers do not read

    def draw(logits: Logits) -> int:
        scores = torch.from_numpy(logits)[None]
        for warper in warpers:
            scores = warper(previous, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))

    return draw
