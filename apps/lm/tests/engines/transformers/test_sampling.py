"""Tokens are chosen as transformers' processors choose them, and by OpenAI's definition where it has none."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from transformers.generation.logits_process import (
    LogitsProcessor,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from apps.lm.engines.openvino import drawing as plain_drawing
from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.sampling import chooser
from apps.lm.engines.transformers.drawing import drawing

Bias: Any = SequenceBiasLogitsProcessor  # its type does not allow the tuples that it documents
VOCABULARY, END = 20, 7
PROMPT = (3, 5, 3)
tokens = some.integers(0, VOCABULARY - 1)


def request(min_tokens: int = 0, **sampling) -> GenerationRequest:
    return GenerationRequest(PROMPT, 9, frozenset({END}), Sampling(**sampling), min_tokens)


def scores(seed: int) -> torch.Tensor:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def choose(request: GenerationRequest, logits: torch.Tensor, generated: list[int]) -> int:
    return chooser(request, drawing)(logits.numpy(), generated)


def expected(logits: torch.Tensor, generated: list[int], seed: int | None, *processors) -> int:
    ids = torch.tensor([[*PROMPT, *generated]])
    all_processors: Any = LogitsProcessorList(processors)
    processed = all_processors(ids, logits[None])
    if seed is None:
        return int(processed.argmax())
    generator = torch.Generator().manual_seed(seed)
    return int(torch.multinomial(processed.softmax(-1), 1, generator=generator))


@pytest.mark.slow
@given(some.integers(0, 99), some.lists(tokens, max_size=4), some.integers(-(2**63), 2**63 - 1))
def test_all_together_are_those_of_transformers_in_its_order(case, generated, seed):
    sampling = {"temperature": 0.7, "top_k": 12, "top_p": 0.9, "min_p": 0.02, "seed": seed}
    biases = {1: 2.5, 9: -3.0}
    both = request(3, **sampling, repetition_penalty=1.4, logit_bias=biases)
    processors = [
        Bias({(token,): bias for token, bias in biases.items()}),
        RepetitionPenaltyLogitsProcessor(1.4),
        MinNewTokensLengthLogitsProcessor(len(PROMPT), 3, END),
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(12),
        TopPLogitsWarper(0.9),
        MinPLogitsWarper(0.02),
    ]
    assert choose(both, scores(case), generated) == expected(scores(case), generated, seed, *processors)


@pytest.mark.parametrize(
    ("sampling", "processor"),
    [
        ({"repetition_penalty": 1.8}, RepetitionPenaltyLogitsProcessor(1.8)),
        ({"repetition_penalty": 0.5}, RepetitionPenaltyLogitsProcessor(0.5)),
        ({"logit_bias": {4: 100.0}}, Bias({(4,): 100.0})),
        ({"logit_bias": {4: -100.0, 11: 1.0}}, Bias({(4,): -100.0, (11,): 1.0})),
    ],
)
def test_each_changes_the_most_likely_token_as_in_transformers(sampling, processor):
    generated = [1, 2, 2, 8]
    cases = range(200)
    chosen = [choose(request(**sampling), scores(case), generated) for case in cases]
    assert chosen == [expected(scores(case), generated, None, processor) for case in cases]
    assert chosen != [expected(scores(case), generated, None) for case in cases]


def test_presence_counts_once_and_frequency_as_often_as_the_answer_has_the_token():
    logits = torch.zeros(VOCABULARY)
    logits[3], logits[8], logits[9], logits[10] = 9.0, 4.0, 3.0, 2.5
    generated = [8, 8, 9]
    assert choose(request(presence_penalty=2.0, logit_bias={3: -9.0}), logits, generated) == 10
    assert choose(request(presence_penalty=1.4, logit_bias={3: -9.0}), logits, generated) == 8, "once, for two"
    assert choose(request(frequency_penalty=0.9, logit_bias={3: -9.0}), logits, generated) == 10
    assert choose(request(frequency_penalty=0.7, logit_bias={3: -9.0}), logits, generated) == 8, "4 - 2 * 0.7"
    assert choose(request(presence_penalty=2.0, frequency_penalty=2.0), logits, generated) == 3, "only in the prompt"
    assert choose(request(presence_penalty=-2.0), logits, [10]) == 3
    assert choose(request(presence_penalty=-2.0, logit_bias={3: -9.0}), logits, [10]) == 10


def test_no_end_token_is_chosen_before_the_least_number_of_tokens():
    logits = torch.zeros(VOCABULARY)
    logits[END], logits[2] = 5.0, 1.0
    assert [choose(request(2), logits, [1] * count) for count in range(4)] == [2, 2, END, END]


def test_the_logits_themselves_stay_as_they_are():
    logits = scores(1)
    choose(request(2, repetition_penalty=2.0, presence_penalty=1.0, logit_bias={1: 1.0}, temperature=1.0), logits, [4])
    assert torch.equal(logits, scores(1))


@given(
    case=some.integers(0, 99),
    temperature=some.floats(0.1, 2),
    top_k=some.none() | some.integers(1, VOCABULARY + 1),
    top_p=some.none() | some.floats(0.05, 1),
    min_p=some.just(0.0) | some.floats(0, 1),
    excluded=some.sets(tokens, max_size=VOCABULARY - 1),
)
def test_without_torch_the_same_tokens_can_be_drawn_with_the_same_probabilities(
    case, temperature, top_k, top_p, min_p, excluded
):
    sampling = Sampling(temperature, top_k, top_p, min_p=min_p)
    logits = scores(case)
    logits[list(excluded)] = -torch.inf
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(temperature)]
    warpers += [TopKLogitsWarper(top_k)] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p else []
    warpers += [MinPLogitsWarper(min_p)] if min_p else []
    all_warpers: Any = LogitsProcessorList(warpers)
    expected_probabilities = all_warpers(torch.tensor([[0]]), logits[None])[0].softmax(-1)
    drawn, weights = plain_drawing.candidates(logits.numpy(), sampling)
    probabilities = torch.zeros(VOCABULARY)
    probabilities[drawn] = torch.tensor(weights / weights.sum(), dtype=torch.float32)
    torch.testing.assert_close(probabilities, expected_probabilities, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1])
def test_without_torch_tokens_are_drawn_as_often_as_is_likely_and_a_seed_repeats_them(seed):
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draw, again = (plain_drawing.drawing(Sampling(1.0, seed=seed)) for _ in range(2))
    answers = [draw(probabilities.log().numpy()) for _ in range(10_000)]
    assert answers[:50] == [again(probabilities.log().numpy()) for _ in range(50)]
    frequencies = torch.bincount(torch.tensor(answers), minlength=4) / 10_000
    torch.testing.assert_close(frequencies, probabilities, atol=0.025, rtol=0)  # five standard deviations
