import dataclasses
import logging

import pytest
import torch

from apps.lm.engine import Sampling
from apps.lm.tests import tiny

PROMPT = "the quick brown fox"


@dataclasses.dataclass
class Result:
    text: str
    tokens: list[int]
    finish_reason: str


def answer(
    model, prompt: str = PROMPT, most: int | None = None, stops=(), cancelled=lambda: False, **sampling
) -> Result:
    coming = model.answer(model.read(model.tokenize(prompt), most, Sampling(**sampling)), stops)
    return Result("".join(coming.run(cancelled)), coming.tokens, coming.finish_reason)


def reference(model, prompt: str, count: int, **options) -> list[int]:
    """The tokens that transformers' own `generate` adds."""
    ids = torch.tensor([model.tokenize(prompt)])
    weights = model.engine._batch._model
    options = {"do_sample": False, "attention_mask": torch.ones_like(ids), "pad_token_id": 0} | options
    return weights.generate(ids, max_new_tokens=count, **options)[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("prompt", ["t", PROMPT, "once 😀"])
def test_greedy_answers_are_those_of_transformers_for_both_families(model, prompt):
    assert answer(model, prompt, 20).tokens == reference(model, prompt, 20)


def test_the_same_prompt_gets_the_same_answer(model):
    assert answer(model) == answer(model)


def test_the_model_ends_its_answer_and_the_end_is_counted_but_not_in_the_text(model):
    whole = answer(model, most=20)
    end = whole.tokens[4]
    ended = answer(dataclasses.replace(model, ends=frozenset({end})), most=20)
    assert ended.tokens == whole.tokens[: whole.tokens.index(end) + 1]
    assert ended.finish_reason == "stop"
    assert whole.text.startswith(ended.text)
    assert len(ended.text) < len(whole.text)


def test_an_answer_is_cut_where_prompt_and_answer_fill_the_budget(model):
    cut = answer(model, PROMPT, most=tiny.CONTEXT)
    assert len(model.tokenize(PROMPT)) + len(cut.tokens) == tiny.CONTEXT
    assert cut.finish_reason == "length"


def test_cancelling_stops_within_a_step(model):
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 3

    assert len(answer(model, most=20, cancelled=cancelled).tokens) <= 4


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_k": 20},
        {"temperature": 1.5, "top_p": 0.8},
        {"temperature": 2.0, "top_p": 0.9, "top_k": 50},
    ],
)
def test_drawn_answers_are_those_of_transformers_for_the_same_seed(model, options):
    torch.manual_seed(11)
    expected = reference(model, PROMPT, 20, do_sample=True, **({"top_k": 0} | options))
    assert answer(model, most=20, seed=11, **options).tokens == expected


def test_a_seed_repeats_a_drawn_answer_and_without_one_it_differs(model):
    drawn = [answer(model, most=20, temperature=1.0, seed=seed).tokens for seed in (1, 1, 2, None, None)]
    assert drawn[0] == drawn[1]
    assert len({tuple(tokens) for tokens in drawn}) == 4


def test_a_stop_sequence_ends_the_answer_before_it_and_frees_the_engine(model):
    whole = answer(model, most=20)
    stop = whole.text[3:6]
    stopped = answer(model, most=20, stops=["never", stop])
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert len(stopped.tokens) < 20


def test_budget_never_exceeds_the_models_context(folders, load):
    assert load(folders["gpt2"], max_total_tokens=1000).budget.total == tiny.CONTEXT
    assert load(folders["gpt2"], max_total_tokens=10).budget.total == 10


def test_the_models_own_configuration_says_what_ends_an_answer(tmp_path, load):
    folder = tiny.publish(tiny.save("llama", tmp_path / "ended_v1", eos=2))
    assert load(folder).ends == {2}


def test_neither_prompt_nor_answer_is_logged(model, caplog):
    with caplog.at_level(logging.DEBUG):
        text = answer(model).text
    assert PROMPT not in caplog.text
    assert text not in caplog.text
