"""Keys and values of many sequences at different lengths, in memory that is laid out once.

Row r of every layer holds one sequence, from its first token on. A forward pass computes a range of rows and
reads only as far as the longest of them, so sequences come and go without anything else being copied. The
memory is known beforehand: rows x context x 2 x layers x key-value heads x head size x bytes a number.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class RowCache(Cache):
    """A transformers Cache of `rows` sequences of at most `context` tokens."""

    def __init__(self, layers: int, rows: int, context: int) -> None:
        super().__init__(layers=[_Layer(rows, context) for _ in range(layers)])

    def open(self, first: int, lengths: Sequence[int], new: int) -> dict[str, Any]:
        """Let the next forward pass add `new` tokens to the rows from `first` on, which have `lengths` tokens.

        Return the arguments that the model needs for it: positions of shape (rows, new), and a mask of shape
        (rows, 1, new, longest) in which each token sees itself and what comes before it in its own row.
        """
        positions = torch.tensor(lengths)[:, None] + torch.arange(new)
        longest = max(lengths) + new
        for layer in self.layers:
            layer.window = (first, positions, longest)
        mask = torch.arange(longest) <= positions[:, None, :, None]
        return {"past_key_values": self, "position_ids": positions, "attention_mask": mask}

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of row `source` to row `target`."""
        for layer in self.layers:
            for tensor in (layer.keys, layer.values):
                tensor[target, :, :length] = tensor[source, :, :length]


class _Layer(CacheLayerMixin):
    def __init__(self, rows: int, context: int) -> None:
        super().__init__()
        self.rows, self.context = rows, context
        self.window: tuple[int, torch.Tensor, int] = (0, torch.zeros(1, 1, dtype=torch.long), 1)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        # zeros, so that what nobody wrote yet is finite; the system gives the memory when it is written
        self.keys, self.values = (
            states.new_zeros(self.rows, states.shape[1], self.context, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens (rows, heads, new, size); return all of these rows up to the longest."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        first, positions, longest = self.window
        rows = torch.arange(first, first + len(positions))[:, None]
        self.keys[rows, :, positions] = key_states.transpose(1, 2)
        self.values[rows, :, positions] = value_states.transpose(1, 2)
        view = slice(first, first + len(positions))
        return self.keys[view, :, :longest], self.values[view, :, :longest]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.window[2], 0

    def get_seq_length(self) -> int:
        return self.window[2]

    def get_max_length(self) -> int:
        return self.context
