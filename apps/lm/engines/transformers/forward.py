"""One forward pass of a batch: the same call while the model is served and when it is checked at load."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from apps.lm.engines.transformers.cache import RowCache


@torch.inference_mode()  # also here: the mode belongs to a thread, and prefill may have its own
def next_logits(
    model: PreTrainedModel,
    cache: RowCache,
    lengths: Sequence[int],
    tokens: Sequence[Sequence[int]],
    keep: int | None = None,
) -> torch.Tensor:
    """Add equally many `tokens` to each of the first rows of `cache`, which have `lengths` tokens.

    Return the logits after them: (rows, vocabulary), in float32 on the CPU. With `keep`, return those after each of the
    last `keep` tokens: (rows, keep, vocabulary).
    """
    arguments = cache.open(lengths, len(tokens[0]))
    ids = torch.tensor(tokens, device=model.device)
    logits: torch.Tensor = model(ids, use_cache=True, logits_to_keep=keep or 1, **arguments).logits
    return (logits[:, -1] if keep is None else logits[:, -keep:]).float().cpu()
