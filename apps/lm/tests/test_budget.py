"""The token contract: see `apps.lm.budget`."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.lm.budget import Budget, PromptError

tokens = some.integers(1, 300)


@given(total=some.integers(2, 300), prompt=tokens, max_tokens=some.none() | tokens)
def test_prompt_and_answer_stay_within_the_budget_and_the_answer_within_max_tokens(total, prompt, max_tokens):
    try:
        answer = Budget(total).answer_tokens(prompt, max_tokens)
    except PromptError:
        assert prompt >= total
    else:
        assert answer == min(total - prompt, max_tokens or total)


def test_the_error_for_a_long_prompt_has_both_counts_and_the_remedy():
    with pytest.raises(PromptError) as refusal:
        Budget(256).answer_tokens(256)
    assert str(refusal.value) == (
        "The prompt is too long: it has 256 tokens; prompt and answer together may have 256. "
        "Shorten the prompt to at most 255 tokens."
    )


def test_a_prompt_without_tokens_is_refused():
    with pytest.raises(PromptError, match="no token that the model knows"):
        Budget(256).answer_tokens(0)
