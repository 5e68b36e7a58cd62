"""Tokens are chosen as transformers' processors choose them, and by OpenAI's definition where it has none."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from apps.lm.engines.protocol import GenerationRequest, Sampling
from apps.lm.engines.transformers.sampling import chooser

Bias: Any = SequenceBiasLogitsProcessor  # its type does not allow the tuples that it documents
VOCABULARY, END = 20, 7
PROMPT = (3, 5, 3)
tokens = some.integers(0, VOCABULARY - 1)


def request(min_tokens: int = 0, **sampling) -> GenerationRequest:
    return GenerationRequest(PROMPT, 9, frozenset({END}), Sampling(**sampling), min_tokens)


def scores(seed: int) -> torch.Tensor:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


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
    choose = chooser(request(3, **sampling, repetition_penalty=1.4, logit_bias=biases))
    processors = [
        Bias({(token,): bias for token, bias in biases.items()}),
        RepetitionPenaltyLogitsProcessor(1.4),
        MinNewTokensLengthLogitsProcessor(len(PROMPT), 3, END),
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(12),
        TopPLogitsWarper(0.9),
        MinPLogitsWarper(0.02),
    ]
    assert choose(scores(case), generated) == expected(scores(case), generated, seed, *processors)


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
    chosen = [chooser(request(**sampling))(scores(case), generated) for case in cases]
    assert chosen == [expected(scores(case), generated, None, processor) for case in cases]
    assert chosen != [expected(scores(case), generated, None) for case in cases]


def test_presence_counts_once_and_frequency_as_often_as_the_answer_has_the_token():
    logits = torch.zeros(VOCABULARY)
    logits[3], logits[8], logits[9], logits[10] = 9.0, 4.0, 3.0, 2.5
    generated = [8, 8, 9]
    assert chooser(request(presence_penalty=2.0, logit_bias={3: -9.0}))(logits, generated) == 10
    assert chooser(request(presence_penalty=1.4, logit_bias={3: -9.0}))(logits, generated) == 8, "once, for two"
    assert chooser(request(frequency_penalty=0.9, logit_bias={3: -9.0}))(logits, generated) == 10
    assert chooser(request(frequency_penalty=0.7, logit_bias={3: -9.0}))(logits, generated) == 8, "4 - 2 * 0.7"
    assert chooser(request(presence_penalty=2.0, frequency_penalty=2.0))(logits, generated) == 3, "only in the prompt"
    assert chooser(request(presence_penalty=-2.0))(logits, [10]) == 3
    assert chooser(request(presence_penalty=-2.0, logit_bias={3: -9.0}))(logits, [10]) == 10


def test_no_end_token_is_chosen_before_the_least_number_of_tokens():
    logits = torch.zeros(VOCABULARY)
    logits[END], logits[2] = 5.0, 1.0
    assert [chooser(request(2))(logits, [1] * count) for count in range(4)] == [2, 2, END, END]


def test_the_logits_themselves_stay_as_they_are():
    logits = scores(1)
    chooser(request(2, repetition_penalty=2.0, presence_penalty=1.0, logit_bias={1: 1.0}, temperature=1.0))(logits, [4])
    assert torch.equal(logits, scores(1))
