import dataclasses
import logging

import pytest
import torch

from apps.lm.model import Answer
from apps.lm.tests import tiny

PROMPT = "the quick brown fox"


def answer(model, prompt: str = PROMPT, most: int | None = None) -> Answer:
    return model.answer(model.read(prompt, most), lambda: False)


def reference(model, prompt: str, count: int) -> list[int]:
    """The tokens that transformers' own greedy `generate` adds."""
    ids = torch.tensor([model.tokenize(prompt)])
    weights = model.engine._batch._model
    options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "pad_token_id": 0}
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

    assert len(model.answer(model.read(PROMPT, 20), cancelled).tokens) <= 4


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
