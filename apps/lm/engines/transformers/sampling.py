"""Chooses the next token from logits by the rules of transformers, whose processors are used where it has one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from transformers.generation.logits_process import (
    LogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.transformers.grammar import Grammar

# From the logits after a sequence, of shape (vocabulary,), and its generated tokens.
Choose = Callable[[torch.Tensor, Sequence[int]], int]
Adjust = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]  # from the same to logits of the same shape


def chooser(request: GenerationRequest) -> Choose:
    """Return the function that chooses the tokens of one sequence. It has its own random state."""
    pick = _draw(request.sampling) if request.sampling.temperature else lambda logits: int(logits.argmax())
    adjustments = _adjustments(request)

    def choose(logits: torch.Tensor, generated: Sequence[int]) -> int:
        for adjust in adjustments:
            logits = adjust(logits, generated)
        return pick(logits)

    return choose


def _draw(sampling: Sampling) -> Callable[[torch.Tensor], int]:
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k is not None:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    previous = torch.empty(1, 0, dtype=torch.long)  # earlier tokens, which these warpers do not read

    def draw(logits: torch.Tensor) -> int:
        scores = logits[None].float()
        for warper in warpers:
            scores = warper(previous, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))

    return draw


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
    tokens, values = torch.tensor(list(biases)), torch.tensor(list(biases.values()), dtype=torch.float32)
    return lambda logits, _: logits.index_add(0, tokens, values)


def _penalise_repetition(penalty: float, prompt: Sequence[int]) -> Adjust:
    processor = RepetitionPenaltyLogitsProcessor(float(penalty))

    def adjust(logits: torch.Tensor, generated: Sequence[int]) -> torch.Tensor:
        scores: torch.Tensor = processor(torch.tensor([[*prompt, *generated]]), logits[None])[0]
        return scores

    return adjust


def _penalise_generated(presence: float, frequency: float) -> Adjust:
    """By OpenAI's definition: `presence` once for a token of the answer, `frequency` as often as it was generated."""

    def adjust(logits: torch.Tensor, generated: Sequence[int]) -> torch.Tensor:
        if not generated:
            return logits
        counts = Counter(generated)
        penalties = [presence + frequency * count for count in counts.values()]
        return logits.index_add(0, torch.tensor(list(counts)), torch.tensor(penalties), alpha=-1)

    return adjust


def _delay_end(min_tokens: int, end_tokens: Sequence[int]) -> Adjust:
    ends = torch.tensor(end_tokens)

    def adjust(logits: torch.Tensor, generated: Sequence[int]) -> torch.Tensor:
        return logits if len(generated) >= min_tokens else logits.index_fill(0, ends[ends < len(logits)], -torch.inf)

    return adjust
