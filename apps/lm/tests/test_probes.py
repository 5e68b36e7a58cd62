"""A model is served only if it answers as it did when it was published."""

import dataclasses

import pytest

from apps.lm import probes
from apps.lm.tests import tiny
from apps.serving.identity import LoadError


def probe(**changes) -> dict:
    return {"prompt": "the fox", "prompt_tokens": 2, "token_ids": [117, 194, 79, 79], "min_margin": 1.0} | changes


def test_a_model_that_answers_its_probe_is_served(folder, load):
    tiny.publish(folder, probes=[probe()])
    load(folder)


def test_a_model_with_another_answer_to_its_probe_is_refused(folder, load):
    tiny.publish(folder, probes=[probe(token_ids=[117, 194, 79, 80])])
    with pytest.raises(LoadError, match=r"the answer's first tokens are \[117, 194, 79, 79\] here and were"):
        load(folder)


def test_a_model_that_tokenises_a_prompt_differently_is_refused(folder, load):
    tiny.publish(folder, probes=[probe(prompt_tokens=7)])
    with pytest.raises(LoadError, match="the prompt's tokens are 2 here and were 7"):
        load(folder)


def test_a_probe_that_rounding_can_change_is_not_compared(folder, load):
    tiny.publish(folder, probes=[probe(token_ids=[1, 2, 3, 4], min_margin=0.001)])
    load(folder)


def test_with_bfloat16_only_probes_with_a_large_margin_are_compared(folders, load):
    close, decisive = (probe(token_ids=[0] * 8, min_margin=margin) for margin in (0.5, 2.0))
    model = load(folders["gpt2"], dtype="bf16")
    probes.check(dataclasses.replace(model, probes=[close]))
    with pytest.raises(LoadError, match="the answer's first tokens are"):
        probes.check(dataclasses.replace(model, probes=[close, decisive]))
