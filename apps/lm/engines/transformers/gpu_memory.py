"""Refuses a model that does not fit into the memory of the GPU, before a request could find out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from apps.serving.identity import LoadError

GB = 1e9
# For what CUDA allocates outside of torch, and for gaps between blocks. Without it, a service whose start had just
# fitted answered its first 16 requests with 500 (H200).
SPARE_BYTES = 256 * 2**20


@contextmanager
def sufficient(model: PreTrainedModel, rows: int, context: int) -> Iterator[None]:
    """Raise LoadError if the GPU runs out of memory while `model` is prepared there for `rows` of `context` tokens.

    SPARE_BYTES stay free meanwhile, and are free afterwards.
    """
    free, total = torch.cuda.mem_get_info()
    try:
        spare = torch.empty(SPARE_BYTES, dtype=torch.uint8, device="cuda")
        yield
        del spare
        torch.cuda.empty_cache()
    except RuntimeError as error:
        if not is_exhausted(error):
            raise
        weights = sum(weight.nbytes for weight in model.parameters())
        raise LoadError(
            f"The model does not fit into the memory of the GPU, of whose {total / GB:.1f} GB {free / GB:.1f} GB were "
            f"free: its weights take {weights / GB:.1f} GB, to which come keys and values of {rows} sequences "
            f"(MAX_IN_FLIGHT) of {context} tokens (MAX_TOTAL_TOKENS) and what a step computes. Lower these two, set "
            "DTYPE to bf16, or take a GPU with more free memory."
        ) from error


def is_exhausted(error: Exception) -> bool:
    """Whether the GPU had no memory left for torch or for one of CUDA's libraries."""
    return isinstance(error, torch.OutOfMemoryError) or "_ALLOC_FAILED" in str(error) or "out of memory" in str(error)
