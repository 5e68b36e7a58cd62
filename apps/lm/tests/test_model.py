"""Answers have the tokens that transformers generates, and end where they should."""

import dataclasses
import logging
import time
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from apps.lm.answer import AnswerOptions
from apps.lm.engines.protocol import Sampling
from apps.lm.tests import tiny

PROMPT = "the quick brown fox"


@dataclasses.dataclass
class Result:
    text: str
    tokens: list[int]
    finish_reason: str


def answer(
    model,
    prompt: str = PROMPT,
    max_tokens: int | None = None,
    stops=(),
    cancelled=lambda: False,
    min_tokens=0,
    ignore_end=False,
    **sampling,
) -> Result:
    options = AnswerOptions(max_tokens, Sampling(**sampling), stops, min_tokens, ignore_end)
    result = model.answer(model.tokenize(prompt), options, time.monotonic())
    pieces: list[str] = []
    result.run(lambda piece: pieces.append(piece.text), cancelled)
    return Result("".join(pieces), result.tokens, result.finish_reason)


@pytest.fixture
def reference(model, folders):
    """Return the tokens that transformers' own `generate` adds to a prompt."""
    weights: Any = AutoModelForCausalLM.from_pretrained(folders[model.identity.name.removeprefix("tiny-")])

    def reference(prompt: str, count: int, **options) -> list[int]:
        ids = torch.tensor([model.tokenize(prompt)])
        options = {"do_sample": False, "attention_mask": torch.ones_like(ids), "pad_token_id": 0} | options
        return weights.generate(ids, max_new_tokens=count, **options)[0, ids.shape[1] :].tolist()

    return reference


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["t", PROMPT, "once 😀"])
def test_greedy_answers_are_those_of_transformers_for_both_families(model, reference, prompt):
    assert answer(model, prompt, 20).tokens == reference(prompt, 20)


def test_the_same_prompt_gets_the_same_answer(model):
    assert answer(model) == answer(model)


def test_an_end_token_ends_the_answer_and_is_counted_but_not_in_the_text(model):
    whole = answer(model, max_tokens=20)
    end = whole.tokens[4]
    ended = answer(dataclasses.replace(model, end_tokens=frozenset({end})), max_tokens=20)
    assert ended.tokens == whole.tokens[: whole.tokens.index(end) + 1]
    assert ended.finish_reason == "stop"
    assert whole.text.startswith(ended.text)
    assert len(ended.text) < len(whole.text)


def test_an_answer_is_cut_where_prompt_and_answer_fill_the_budget(model):
    cut = answer(model, PROMPT, max_tokens=tiny.CONTEXT)
    assert len(model.tokenize(PROMPT)) + len(cut.tokens) == tiny.CONTEXT
    assert cut.finish_reason == "length"


def test_cancelling_stops_within_one_step(model):
    checks: list[None] = []

    def cancelled() -> bool:
        checks.append(None)
        return len(checks) > 3

    assert len(answer(model, max_tokens=20, cancelled=cancelled).tokens) <= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 20},
        {"temperature": 1.5, "top_p": 0.8},
        {"temperature": 2.0, "top_p": 0.9, "top_k": 50},
    ],
)
def test_sampled_answers_are_those_of_transformers_for_the_same_seed(model, reference, options):
    torch.manual_seed(11)
    expected = reference(PROMPT, 20, do_sample=True, **({"top_k": 0} | options))
    assert answer(model, max_tokens=20, seed=11, **options).tokens == expected


@pytest.mark.slow
def test_a_seed_repeats_a_sampled_answer_and_without_one_it_differs(model):
    sampled = [answer(model, max_tokens=20, temperature=1.0, seed=seed).tokens for seed in (1, 1, 2, None, None)]
    assert sampled[0] == sampled[1]
    assert len({tuple(tokens) for tokens in sampled}) == 4


def test_a_stop_sequence_ends_the_answer_before_it(model):
    whole = answer(model, max_tokens=20)
    stop = whole.text[3:6]
    stopped = answer(model, max_tokens=20, stops=["never", stop])
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert len(stopped.tokens) < 20


def test_the_budget_is_bounded_by_the_models_context(folders, load):
    assert load(folders["gpt2"], max_total_tokens=1000).budget.total == tiny.CONTEXT
    assert load(folders["gpt2"], max_total_tokens=10).budget.total == 10


def test_the_models_configuration_names_the_end_tokens(tmp_path, load):
    folder = tiny.publish(tiny.save("llama", tmp_path / "ended_v1", eos=2))
    assert load(folder).end_tokens == {2}


def test_neither_prompt_nor_answer_is_logged(model, caplog):
    with caplog.at_level(logging.DEBUG):
        text = answer(model).text
    assert PROMPT not in caplog.text
    assert text not in caplog.text


def test_ignoring_end_tokens_goes_on_to_the_last_token(model):
    whole = answer(model, max_tokens=20)
    ended = dataclasses.replace(model, end_tokens=frozenset({whole.tokens[4]}))
    assert answer(ended, max_tokens=20, ignore_end=True) == whole


@pytest.mark.slow
def test_neither_end_token_nor_stop_sequence_ends_an_answer_before_its_least_number_of_tokens(model, reference):
    whole = answer(model, max_tokens=20)
    ended = dataclasses.replace(model, end_tokens=frozenset({whole.tokens[2]}))
    longer = answer(ended, max_tokens=20, min_tokens=9)
    expected = reference(PROMPT, 20, eos_token_id=whole.tokens[2], min_new_tokens=9)
    assert longer.tokens == expected
    assert len(longer.tokens) >= 9 > len(answer(ended, max_tokens=20).tokens)
    assert len(answer(model, max_tokens=20, stops=[whole.text[1:3]], min_tokens=9).tokens) >= 9


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"repetition_penalty": 1.3}, {"temperature": 1.2, "min_p": 0.05}],
)
def test_penalties_and_min_p_are_those_of_transformers(model, reference, options):
    torch.manual_seed(11)
    sampling = {"do_sample": True, "top_k": 0} if "temperature" in options else {}
    expected = reference(PROMPT, 20, **sampling, **options)
    assert answer(model, max_tokens=20, seed=11, **options).tokens == expected != answer(model, max_tokens=20).tokens
