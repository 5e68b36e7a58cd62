import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.lm.tests import tiny
from apps.lm.text import TextStream

TOKENIZERS = {family: make() for family, (make, _) in tiny.FAMILIES.items()}
families = pytest.mark.parametrize("family", sorted(TOKENIZERS))
characters = some.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\N{REPLACEMENT CHARACTER}")
texts = some.text(alphabet=characters, min_size=1, max_size=12)


def pieces_of(family: str, prompt: str, answer: str, cut: int | None = None) -> list[str]:
    """Stream the tokens that `answer` adds to `prompt`, or the first `cut` of them."""
    tokenizer = TOKENIZERS[family]
    before, both = tokenizer(prompt).input_ids, tokenizer(prompt + answer).input_ids
    stream = TextStream(lambda ids: tokenizer.decode(ids, skip_special_tokens=True), before)
    return [stream.push(token) for token in both[len(before) :][:cut]] + [stream.finish()]


@families
@given(answer=texts)
def test_pieces_join_to_the_text_whatever_its_characters(family, answer):
    assert "".join(pieces_of(family, "x", answer)) == answer


@families
@given(answer=texts, cut=some.integers(0, 30))
def test_an_answer_cut_anywhere_is_a_beginning_of_whole_characters(family, answer, cut):
    assert answer.startswith("".join(pieces_of(family, "x", answer, cut)))


@families
def test_an_emoji_of_four_tokens_comes_out_once_and_whole(family):
    assert pieces_of(family, "x", "😀y") == ["", "", "", "😀", "y", ""]


def test_a_space_that_begins_the_answer_is_kept_although_llama_decodes_none_in_front():
    assert "".join(pieces_of("llama", "the", " fox")) == " fox"
