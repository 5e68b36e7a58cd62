"""Streamed text is cut at characters, and ends before stop sequences."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.lm.engines.transformers.tokenizer import TransformersTokenizer
from apps.lm.tests import tiny
from apps.lm.text import StopText, TextStream

TOKENIZERS = {family: TransformersTokenizer(make()) for family, (make, _) in tiny.FAMILIES.items()}
families = pytest.mark.parametrize("family", sorted(TOKENIZERS))
# "▁" is SentencePiece's code of a space and comes back as one
characters = some.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\N{REPLACEMENT CHARACTER}▁")
texts = some.text(alphabet=characters, min_size=1, max_size=12)


def pieces_of(family: str, prompt: str, answer: str, cut: int | None = None) -> list[str]:
    """Stream the tokens that `answer` adds to `prompt`, or the first `cut` of them."""
    tokenizer = TOKENIZERS[family]
    before, both = tokenizer.encode(prompt), tokenizer.encode(prompt + answer)
    stream = TextStream(tokenizer.decode, before)
    return [stream.push(token) for token in both[len(before) :][:cut]] + [stream.finish()]


@families
@given(answer=texts)
def test_pieces_join_to_the_text(family, answer):
    assert "".join(pieces_of(family, "x", answer)) == answer


@families
@given(answer=texts, cut=some.integers(0, 30))
def test_an_answer_that_is_cut_has_only_whole_characters(family, answer, cut):
    assert answer.startswith("".join(pieces_of(family, "x", answer, cut)))


@families
def test_an_emoji_of_four_tokens_is_one_piece(family):
    assert pieces_of(family, "x", "😀y") == ["", "", "", "😀", "y", ""]


def test_a_space_at_the_start_of_an_answer_is_kept_although_llama_decodes_none_at_the_start_of_a_text():
    assert "".join(pieces_of("llama", "the", " fox")) == " fox"


few = some.text(alphabet="ab🙂", max_size=3)


def expected_length(text: str, stops: list[str]) -> int:
    """The length of the text before the stop sequence that is complete first, reading character by character."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return min(starts)
    return len(text)


@given(pieces=some.lists(few, max_size=8), stops=some.lists(few.filter(bool), max_size=3))
def test_text_ends_before_the_first_complete_stop_sequence_wherever_pieces_are_cut(pieces, stops):
    stop, output, text = StopText(stops), [], "".join(pieces)
    for piece in pieces:
        output.append(stop.push(piece))
        assert text[: expected_length(text, stops)].startswith("".join(output))
        if stop.matched:
            break
    else:
        output.append(stop.finish())
    assert "".join(output) == text[: expected_length(text, stops)]
    assert stop.matched == any(sequence in text for sequence in stops)


def test_text_that_cannot_begin_a_stop_sequence_is_not_held_back():
    stop = StopText(["END"])
    assert [stop.push(piece) for piece in ("some E", "x", "EN", "D more")] == ["some ", "Ex", "", ""]
