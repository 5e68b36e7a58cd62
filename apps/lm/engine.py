"""Computes answers token by token: greedily, so the same prompt gets the same answer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from transformers import DynamicCache


class Engine(Protocol):
    """What the service needs of a way to run a model; another runtime is another implementation."""

    def generate(self, prompt: Sequence[int], cancelled: Callable[[], bool]) -> Iterator[int]:
        """Yield the answer's tokens without end, each computed when it is asked for, until `cancelled()`.

        `prompt` has at least one token; whoever iterates keeps prompt and answer within the model's context.
        """
        ...


class TorchEngine:
    """One prompt at a time, by torch; a key-value cache lives as long as its iterator."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def generate(self, prompt: Sequence[int], cancelled: Callable[[], bool]) -> Iterator[int]:
        """As `Engine.generate` says."""
        cache, tokens = DynamicCache(config=self._model.config), list(prompt)
        while not cancelled():
            tokens = [self._next(tokens, cache)]
            yield tokens[0]

    @torch.inference_mode()
    def _next(self, tokens: Sequence[int], cache: DynamicCache) -> int:
        ids = torch.tensor([tokens])
        output = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return int(output.logits[0, -1].argmax())
