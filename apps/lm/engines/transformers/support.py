"""Refuses models that the batch would compute wrongly.

The batch lays out the KV cache itself and decides which token sees which. A model with a sliding window, with another
kind of memory or with positions derived from a mask would answer, but not as it does in transformers.
"""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from apps.lm.engines.transformers.cache import RowCache
from apps.serving.identity import LoadError

# Share of the range of logits: float32 stays a thousand times below it, and bfloat16 has a precision of 8 bits.
TOLERANCES = {torch.float32: 0.01, torch.bfloat16: 0.05}
TOKENS = 6


def check(model: PreTrainedModel, context: int) -> None:
    """Raise LoadError unless the batch computes what transformers does, for sequences of up to `context` tokens."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if window is not None and window < context:
        raise _refusal(model, f"it looks back {window} tokens only. Set MAX_TOTAL_TOKENS to {window} or less")
    limit = _constant_rope_tokens(config)
    if limit is not None and limit < context:
        raise _refusal(model, f"beyond {limit} tokens one sequence changes the others. Set MAX_TOTAL_TOKENS to {limit}")
    try:
        same = _same_logits(model, min(TOKENS, context))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise _refusal(model, f"its forward pass fails in a batch ({reason})") from error
    if not same:
        raise _refusal(model, "its logits differ in a batch. Choose a model of the GPT-2 or Llama families")


@torch.inference_mode()
def _same_logits(model: PreTrainedModel, count: int) -> bool:
    """Whether a row prefilled in another cache has, beside a shorter row, the logits of a plain forward pass."""
    tokens = torch.arange(count, device=model.device)[None] % model.config.get_text_config().vocab_size
    cache, prompt_cache = RowCache(model, 2, count), RowCache(model, 1, count)
    model(tokens[:, :-1], use_cache=True, **prompt_cache.open([0], count - 1))
    model(tokens[:, :1].expand(2, 1), use_cache=True, **cache.open([0, 0], 1))
    cache.copy(prompt_cache, 0, 1, count - 1)
    row = model(tokens[:, [1, -1]].T, use_cache=True, **cache.open([1, count - 1], 1)).logits[1, -1]
    plain = model(tokens).logits[0, -1]
    return bool((row - plain).abs().max() <= TOLERANCES[model.dtype] * (plain.max() - plain.min()))


def _constant_rope_tokens(config: PreTrainedConfig) -> int | None:
    """The longest sequence for which RoPE scaling stays constant; None if it always does.

    With longrope, the longest sequence of a batch decides the scaling of all.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    return rope.get("original_max_position_embeddings") if rope.get("rope_type") == "longrope" else None


def _refusal(model: PreTrainedModel, reason: str) -> LoadError:
    return LoadError(f"{type(model).__name__} cannot be served by the engine of this service: {reason}.")
