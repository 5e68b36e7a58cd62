"""Chooses the next token from logits: adjusts them by the rules of transformers, and of OpenAI where it has none.

How a token is drawn from the adjusted logits depends on the engine, whose random numbers differ.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from apps.lm.engines.grammar import Grammar
from apps.lm.engines.protocol import GenerationRequest, Sampling

Logits = NDArray[np.float32]  # after one token (vocabulary,), or after several (tokens, vocabulary)
Choose = Callable[[Logits, Sequence[int]], int]  # from the logits after a sequence and its generated tokens
Draw = Callable[[Logits], int]
Adjust = Callable[[Logits, Sequence[int]], Logits]  # returns new logits and leaves its argument as it is


def chooser(request: GenerationRequest, drawing: Callable[[Sampling], Draw]) -> Choose:
    """Return the function that chooses the tokens of one sequence. It has its own random state."""
    pick = drawing(request.sampling) if request.sampling.temperature else lambda logits: int(logits.argmax())
    adjustments = _adjustments(request)

    def choose(logits: Logits, generated: Sequence[int]) -> int:
        for adjust in adjustments:
            logits = adjust(logits, generated)
        return pick(logits)

    return choose


def _adjustments(request: GenerationRequest) -> list[Adjust]:
    """What changes the logits before a token is chosen, in the order of transformers."""
    sampling = request.sampling
    adjustments: list[Adjust] = []
    if sampling.logit_bias:
        adjustments.append(_bias(sampling.logit_bias))
    if sampling.repetition_penalty != 1:
        adjustments.append(_penalise_repetition(sampling.repetition_penalty, request.prompt))
    if sampling.presence_penalty or sampling.frequency_penalty:
        adjustments.append(_penalise_generated(sampling.presence_penalty, sampling.frequency_penalty))
    if isinstance(request.grammar, Grammar):
        adjustments.append(request.grammar.restrict)
    if request.min_tokens and request.end_tokens:
        adjustments.append(_delay_end(request.min_tokens, sorted(request.end_tokens)))
    return adjustments


def _bias(biases: Mapping[int, float]) -> Adjust:
    tokens, values = list(biases), np.array(list(biases.values()), np.float32)
    return lambda logits, _: _replaced(logits, tokens, logits[tokens] + values)


def _penalise_repetition(penalty: float, prompt: Sequence[int]) -> Adjust:
    def adjust(logits: Logits, generated: Sequence[int]) -> Logits:
        tokens = list({*prompt, *generated})
        scores = logits[tokens]
        return _replaced(logits, tokens, np.where(scores < 0, scores * penalty, scores / penalty))

    return adjust


def _penalise_generated(presence: float, frequency: float) -> Adjust:
    """By OpenAI's definition: `presence` once for a token of the answer, `frequency` as often as it was generated."""

    def adjust(logits: Logits, generated: Sequence[int]) -> Logits:
        counts = Counter(generated)
        penalties = np.array([presence + frequency * count for count in counts.values()], np.float32)
        return _replaced(logits, list(counts), logits[list(counts)] - penalties) if counts else logits

    return adjust


def _delay_end(min_tokens: int, end_tokens: Sequence[int]) -> Adjust:
    def adjust(logits: Logits, generated: Sequence[int]) -> Logits:
        if len(generated) >= min_tokens:
            return logits
        return _replaced(logits, [token for token in end_tokens if token < len(logits)], np.float32(-np.inf))

    return adjust


def _replaced(logits: Logits, tokens: list[int], values: Logits | np.float32) -> Logits:
    changed = logits.copy()
    changed[tokens] = values
    return changed
