"""Keys and values of many sequences at different lengths, in memory that is laid out once.

Row r of every layer holds one sequence, from its first token on. A forward pass computes the first rows and reads
only as far as the longest of them, so sequences come and go without anything else being copied. The system gives a
page of the memory when it is first written and has it back when its sequence leaves: what is used follows the tokens.
"""

import math
import mmap
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class RowCache(Cache):
    """A transformers Cache for `model`, of `rows` sequences of at most `context` tokens."""

    def __init__(self, model: Any, rows: int, context: int) -> None:
        layers = model.config.get_text_config().num_hidden_layers
        super().__init__(layers=[_Layer(rows, context) for _ in range(layers)])
        self._device, self._rows = model.device, rows

    def open(self, lengths: Sequence[int], new: int) -> dict[str, Any]:
        """Let the next forward pass add `new` tokens to the first rows, which have `lengths` tokens.

        Return the arguments that the model needs for it: positions of shape (rows, new), and a mask of shape
        (rows, 1, new, longest) in which each token sees itself and what comes before it in its own row.
        """
        positions = torch.tensor(lengths, device=self._device)[:, None] + torch.arange(new, device=self._device)
        longest = max(lengths) + new
        for layer in self.layers:
            layer.window = (positions, longest)
        mask = torch.arange(longest, device=self._device) <= positions[:, None, :, None]
        return {"past_key_values": self, "position_ids": positions, "attention_mask": mask}

    def copy(self, source: "RowCache", row: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a row of `source`, a cache of the same model, to row `target`."""
        for ours, theirs in zip(self.layers, source.layers, strict=True):
            ours.keys[target, :, :length] = theirs.keys[row, :, :length]
            ours.values[target, :, :length] = theirs.values[row, :, :length]

    def release(self, row: int) -> None:
        """Give back the memory of a row whose sequence has left."""
        for layer in self.layers:
            for memory in layer.memories:
                memory.release(row, self._rows)

    def most_bytes(self, tokens: int) -> int:
        """The most memory that sequences of `tokens` altogether take, once a forward pass has shown the shapes."""
        tensors = [tensor for layer in self.layers for tensor in (layer.keys, layer.values)]
        heads = sum(tensor.shape[1] for tensor in tensors)
        size = max(tensor.shape[3] * tensor.element_size() for tensor in tensors)
        return heads * (
            tokens * size + self._rows * 2 * mmap.PAGESIZE
        )  # each head's tokens begin and end inside a page


class _Layer(CacheLayerMixin):
    def __init__(self, rows: int, context: int) -> None:
        super().__init__()
        self.rows, self.context = rows, context
        self.memories: list[_Memory] = []
        self.window: tuple[torch.Tensor, int] = (torch.zeros(1, 1, dtype=torch.long), 1)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = (self._room(states) for states in (key_states, value_states))
        self.is_initialized = True

    def _room(self, states: torch.Tensor) -> torch.Tensor:
        """Zeros, so that what nobody wrote yet is finite."""
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
    """Bytes that are there, as zeros, from when they are written until they are released."""

    def __init__(self, size: int) -> None:
        self.pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):  # Linux
            self.pages.madvise(mmap.MADV_NOHUGEPAGE)  # a huge page would hold the tokens of several rows

    def release(self, row: int, rows: int) -> None:
        """Give back the pages that hold nothing but `row` of `rows`."""
        size, page = len(self.pages) // rows, mmap.PAGESIZE
        start, end = -(-row * size // page) * page, (row + 1) * size // page * page
        if start < end:
            self.pages.madvise(mmap.MADV_DONTNEED, start, end - start)
