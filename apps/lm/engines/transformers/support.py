"""Refuses models that the batch would compute wrongly, with the reason.

The batch lays out the KV cache itself and decides which token sees which. A model with a sliding window, with another
kind of memory or with positions derived from a mask would answer, but not as it does in transformers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicSlidingWindowLayer

from apps.lm.engines.transformers import gpu_memory
from apps.lm.engines.transformers.cache import RowCache
from apps.lm.engines.transformers.forward import next_logits
from apps.serving.identity import LoadError

# Share of the range of logits: float32 stays a thousand times below it, and bfloat16 has a precision of 8 bits.
TOLERANCE, TOLERANCE_16_BITS = 0.01, 0.05
MEMORIES = {"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"}  # of transformers: keys and values, or nothing
TOKENS, VOCABULARY = 8, 40  # the sequences that are compared have at most so many tokens, from the first so many


def check(model: PreTrainedModel, context: int = TOKENS) -> None:
    """Raise LoadError unless the batch computes what transformers does, for sequences of up to `context` tokens."""
    if reason := _reason(model, context):
        raise LoadError(f"{type(model).__name__} cannot be served by the engine of this service: {reason}.")


def context_tokens(model: PreTrainedModel) -> int | None:
    """The longest sequence that the model can compute, in tokens; None if its configuration does not say."""
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", getattr(config, "max_seq_len", None))


def longest(model: PreTrainedModel) -> int | None:
    """The longest sequence that the batch can compute with a model that `check` has accepted; None: of any length."""
    lengths = [limit for limit, _ in _limits(model.config.get_text_config(decoder=True))]
    context = context_tokens(model)
    return min(lengths if context is None else [*lengths, context], default=None)


@torch.inference_mode()
def _reason(model: PreTrainedModel, context: int) -> str | None:
    """Why the model cannot be served, as the end of a sentence; None if it can."""
    config = model.config.get_text_config(decoder=True)
    try:
        memories = {type(layer).__name__ for layer in DynamicCache(config=config).layers} - MEMORIES
    except Exception as error:
        return f"transformers has no cache of keys and values for it ({_line(error)})"
    if memories:
        return f"it keeps more than keys and values of each token ({', '.join(sorted(memories))})"
    for limit, reason in _limits(config):
        if limit < context:
            return f"{reason}. Set MAX_TOTAL_TOKENS to {limit} or less"
    return _difference(model, min(TOKENS, context))


def _difference(model: PreTrainedModel, count: int) -> str | None:
    """How the batch's logits differ from those of transformers for sequences of up to `count` tokens, if they do."""
    embedding: Any = model.get_input_embeddings()
    vocabulary = min(VOCABULARY, embedding.num_embeddings)
    rows = [[(1 + 7 * row + 3 * n) % vocabulary for n in range(length)] for row, length in enumerate((count, 2))]
    try:
        alone = [_logits(model, row) for row in rows]
    except Exception as error:
        if gpu_memory.is_exhausted(error):
            raise
        return f"transformers itself cannot continue a text with it ({_line(error)})"
    if not all(logits.isfinite().all() for logits in alone):
        return "its weights make logits that are not finite numbers, also in transformers. Publish undamaged weights"
    try:
        difference = "its logits differ in a batch from those in transformers"
        same = all(_same(*pair) for pair in zip(_logits_in_batch(model, rows), alone, strict=True))
    except Exception as error:
        if gpu_memory.is_exhausted(error):
            raise
        difference, same = f"its forward pass fails in a batch ({_line(error)})", False
    return None if same else _cause(model, rows[0], alone[0]) or difference


def _cause(model: PreTrainedModel, tokens: list[int], logits: torch.Tensor) -> str | None:
    """A property of the model in transformers that explains why it cannot be computed in a batch, if there is one."""
    if not _same(_logits(model, tokens[:-1]), logits[:-1]):
        return "its tokens depend on the tokens after them, so that it is no causal language model"
    cache = DynamicCache(config=model.config)
    try:
        cached = _logits(model, tokens, past_key_values=cache, use_cache=True)
    except Exception:
        cached = None
    if cached is None or not any(getattr(layer, "is_initialized", False) for layer in cache.layers):
        return "it does not keep its keys and values in the cache of transformers"
    positions = torch.arange(len(tokens), device=model.device)[None]
    try:
        same = _same(_logits(model, tokens, position_ids=positions), logits)
        ignored = _same(_logits(model, tokens, position_ids=2 * positions), logits)
    except Exception:
        same = ignored = False
    return None if same and not ignored else "it counts the positions of tokens in its own way"


def _logits(model: PreTrainedModel, tokens: Sequence[int], **arguments: Any) -> torch.Tensor:
    """The logits of a plain forward pass: (tokens, vocabulary)."""
    logits: torch.Tensor = model(torch.tensor([tokens], device=model.device), **arguments).logits[0]
    return logits


def _logits_in_batch(model: PreTrainedModel, rows: list[list[int]]) -> list[torch.Tensor]:
    """The logits of each row's last two tokens: of the one before the last, which ends its prefill, and of the last.

    A long row is prefilled in two chunks in another cache. The last tokens of all rows are decoded together.
    """
    context = max(map(len, rows))
    cache, prompt_cache = RowCache(model, len(rows), context), RowCache(model, 1, context)
    next_logits(model, cache, [0], [rows[0][:1]])  # the first forward pass shows the shapes of keys and values
    prefilled = []
    for index, row in enumerate(rows):
        start, end = (len(row) - 1) // 2 if index == 0 else 0, len(row) - 1
        if start:
            next_logits(model, prompt_cache, [0], [row[:start]])
        prefilled.append(next_logits(model, prompt_cache, [start], [row[start:end]])[0])
        cache.copy(prompt_cache, 0, index, end)
    decoded = next_logits(model, cache, [len(row) - 1 for row in rows], [row[-1:] for row in rows])
    return [torch.stack(pair) for pair in zip(prefilled, decoded, strict=True)]


def _same(some: torch.Tensor, plain: torch.Tensor) -> bool:
    """Whether `some` logits are the last of the `plain` ones; both have the shape (tokens, vocabulary)."""
    tolerance = TOLERANCE if plain.dtype is torch.float32 else TOLERANCE_16_BITS
    plain = plain[-len(some) :].float().cpu()
    return bool((some.float().cpu() - plain).abs().max() <= tolerance * (plain.max() - plain.min()))


def _limits(config: PreTrainedConfig) -> list[tuple[int, str]]:
    """The longest sequences, in tokens, before the batch would compute something else, each with the reason."""
    layers = DynamicCache(config=config).layers
    windows = [layer.sliding_window for layer in layers if isinstance(layer, DynamicSlidingWindowLayer)]
    if "local" in (getattr(config, "attention_layers", None) or ()):  # GPT-Neo, whose cache does not say it
        windows.append(config.window_size)
    limits = [(window, f"it looks back {window} tokens only") for window in sorted(set(windows))]
    return limits + [(limit, f"beyond {limit} tokens one sequence changes the others") for limit in _shared(config)]


def _shared(config: PreTrainedConfig) -> list[int]:
    """Numbers of tokens beyond which the longest sequence of a batch decides something for all.

    With longrope it decides the scaling, and with Doge which keys are left out.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    ropes = [rope, *(part for part in rope.values() if isinstance(part, dict))]  # one for each type of layer
    limits = [part["original_max_position_embeddings"] for part in ropes if part.get("rope_type") == "longrope"]
    keys = getattr(config, "keep_window_size", None)
    return limits if keys is None else [*limits, keys]


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
