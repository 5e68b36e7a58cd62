"""The KV cache of many sequences of different lengths, in memory that is laid out once.

Row r of every layer holds one sequence, from its first token on. A forward pass computes the first rows and reads only
as far as the longest of them, so sequences join and leave without copies of the others. On a CPU the system provides a
page of memory when it is first written, and gets it back when its sequence leaves: memory in use follows the tokens. On
a GPU all rows take memory from the start.
"""

import math
import mmap
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin


class RowCache(Cache):
    """A transformers Cache for `model`, of `rows` sequences of at most `context` tokens."""

    def __init__(self, model: PreTrainedModel, rows: int, context: int) -> None:
        config = model.config.get_text_config(decoder=True)
        self._layers = [_Layer(rows, context) for _ in range(config.num_hidden_layers)]
        super().__init__(layers=list(self._layers))
        self._device, self._dtype, self._rows = model.device, model.dtype, rows
        self._adds_mask = config._attn_implementation == "eager"

    def open(self, lengths: Sequence[int], new: int) -> dict[str, Any]:
        """Prepare a forward pass that adds `new` tokens to each of the first rows, which have `lengths` tokens.

        Return the arguments that the model needs for it: positions of shape (rows, new), and a mask of shape
        (rows, 1, new, longest) in which each token sees itself and the tokens before it in its own row. The mask is
        boolean; for a model that adds it to its scores it is 0 there, and the lowest number elsewhere.
        """
        positions = torch.tensor(lengths, device=self._device)[:, None] + torch.arange(new, device=self._device)
        longest = max(lengths) + new
        for layer in self._layers:
            layer.window = (positions, longest)
        mask = torch.arange(longest, device=self._device) <= positions[:, None, :, None]
        if self._adds_mask:
            mask = torch.zeros_like(mask, dtype=self._dtype).masked_fill(~mask, torch.finfo(self._dtype).min)
        return {"past_key_values": self, "position_ids": positions, "attention_mask": mask}

    def copy(self, source: "RowCache", row: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a row of `source`, a cache of the same model, to row `target`."""
        for layer, source_layer in zip(self._layers, source._layers, strict=True):
            if not layer.is_initialized:  # it shares the keys and values of another
                continue
            layer.keys[target, :, :length] = source_layer.keys[row, :, :length]
            layer.values[target, :, :length] = source_layer.values[row, :, :length]

    def release(self, row: int) -> None:
        """Give back the memory of a row whose sequence has left."""
        for layer in self._layers:
            for memory in layer.memories:
                memory.release(row, self._rows)

    def max_bytes(self, tokens: int) -> int:
        """The most bytes that sequences of `tokens` tokens in total take. Call it after the first forward pass.

        On a GPU all rows take memory from the first forward pass on.
        """
        tensors = [tensor for layer in self._layers if layer.is_initialized for tensor in (layer.keys, layer.values)]
        if self._device.type != "cpu":
            return sum(tensor.nbytes for tensor in tensors)
        heads = sum(tensor.shape[1] for tensor in tensors)
        size = max(tensor.shape[3] * tensor.element_size() for tensor in tensors)
        return heads * (tokens * size + self._rows * 2 * mmap.PAGESIZE)  # each head's tokens start and end inside pages


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]  # its __init_subclass__ has no types
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, rows: int, context: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # has no types
        self.rows, self.context = rows, context
        self.memories: list[_Memory] = []
        self.window: tuple[torch.Tensor, int] = (torch.zeros(1, 1, dtype=torch.long), 1)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = (self._allocate(states) for states in (key_states, value_states))
        self.is_initialized = True

    def _allocate(self, states: torch.Tensor) -> torch.Tensor:
        """Zeros, so that what is not written yet is finite."""
        shape = (self.rows, states.shape[1], self.context, states.shape[3])
        if states.device.type != "cpu":
            return states.new_zeros(shape)
        self.memories.append(memory := _Memory(math.prod(shape) * states.element_size()))
        return torch.frombuffer(memory.pages, dtype=states.dtype).view(shape)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens (rows, heads, new, size); return all of these rows up to the longest."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        positions, longest = self.window
        rows = torch.arange(len(positions), device=positions.device)[:, None]
        self.keys[rows, :, positions] = key_states.transpose(1, 2)
        self.values[rows, :, positions] = value_states.transpose(1, 2)
        return self.keys[: len(positions), :, :longest], self.values[: len(positions), :, :longest]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.window[1], 0

    def get_seq_length(self) -> int:
        return self.window[1]

    def get_max_length(self) -> int:
        return self.context


class _Memory:
    """Bytes that take memory from when they are written until they are released; they read as zeros otherwise."""

    def __init__(self, size: int) -> None:
        self.pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):  # Linux
            self.pages.madvise(mmap.MADV_NOHUGEPAGE)  # a huge page would hold the tokens of several rows

    def release(self, row: int, rows: int) -> None:
        """Give back the pages that hold only `row` of `rows`."""
        size, page = len(self.pages) // rows, mmap.PAGESIZE
        start, end = -(-row * size // page) * page, (row + 1) * size // page * page
        if start < end:
            self.pages.madvise(mmap.MADV_DONTNEED, start, end - start)
