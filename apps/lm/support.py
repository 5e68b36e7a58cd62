"""Refuses models that the batch would compute wrongly.

It lays out keys and values itself and says which token sees which. Models that look back only so far, keep another
kind of memory or derive positions from a mask would answer, but not what they answer in transformers.
"""

from typing import Any

import torch

from apps.lm.cache import RowCache
from apps.serving.identity import LoadError

# Of the logits' range: float32 stays a thousand times below it, and bfloat16 has 8 bits.
TOLERANCES = {torch.float32: 0.01, torch.bfloat16: 0.05}
TOKENS = 6


def check(model: Any, context: int) -> None:
    """Raise LoadError unless the batch computes with `model`, up to `context` tokens, what transformers does."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if window is not None and window < context:
        raise _refusal(model, f"it looks back {window} tokens only. Set MAX_TOTAL_TOKENS to {window} or less")
    limit = _turned_alike(config)
    if limit is not None and limit < context:
        raise _refusal(model, f"beyond {limit} tokens one sequence changes the others. Set MAX_TOTAL_TOKENS to {limit}")
    try:
        same = _same(model, min(TOKENS, context))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise _refusal(model, f"its forward pass fails in a batch ({reason})") from error
    if not same:
        raise _refusal(model, "its logits differ in a batch. Choose a model of the GPT-2 or Llama families")


@torch.inference_mode()
def _same(model: Any, count: int) -> bool:
    """Whether a row that was read elsewhere goes on, beside a shorter one, with the logits of a plain forward pass."""
    text_config = model.config.get_text_config()
    tokens = torch.arange(count, device=model.device)[None] % text_config.vocab_size
    cache, prompt = RowCache(model, 2, count), RowCache(model, 1, count)
    model(tokens[:, :-1], use_cache=True, **prompt.open([0], count - 1))
    model(tokens[:, :1].expand(2, 1), use_cache=True, **cache.open([0, 0], 1))
    cache.copy(prompt, 0, 1, count - 1)
    row = model(tokens[:, [1, -1]].T, use_cache=True, **cache.open([1, count - 1], 1)).logits[1, -1]
    plain = model(tokens).logits[0, -1]
    return bool((row - plain).abs().max() <= TOLERANCES[model.dtype] * (plain.max() - plain.min()))


def _turned_alike(config: Any) -> int | None:
    """How many tokens are turned alike; None if all are. With longrope the longest sequence decides for all of them."""
    rope = getattr(config, "rope_parameters", None) or {}
    return rope.get("original_max_position_embeddings") if rope.get("rope_type") == "longrope" else None


def _refusal(model: Any, reason: str) -> LoadError:
    return LoadError(f"{type(model).__name__} cannot be served by the engine of this service: {reason}.")
