import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.lm.budget import Budget, PromptError

tokens = some.integers(1, 300)


@given(total=some.integers(2, 300), prompt=tokens, wanted=some.none() | tokens)
def test_prompt_and_answer_never_exceed_the_budget_and_the_answer_never_what_was_wanted(total, prompt, wanted):
    try:
        answer = Budget(total).answer_tokens(prompt, wanted)
    except PromptError:
        assert prompt >= total
    else:
        assert answer == min(total - prompt, wanted or 64)


def test_prompt_without_room_is_told_both_counts_and_the_remedy():
    with pytest.raises(PromptError) as refusal:
        Budget(256).answer_tokens(256)
    assert str(refusal.value) == (
        "The prompt has 256 tokens; prompt and answer together may have 256. Shorten the prompt to at most 255 tokens."
    )


def test_prompt_of_no_tokens_is_refused():
    with pytest.raises(PromptError, match="no token that the model knows"):
        Budget(256).answer_tokens(0)
