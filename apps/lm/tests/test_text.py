import pytest
from hypothesis import given
from hypothesis import strategies as some

from apps.lm.tests import tiny
from apps.lm.text import StopText, TextStream

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


few = some.text(alphabet="ab🙂", max_size=3)


def where_it_ends(text: str, stops: list[str]) -> int:
    """The length of what comes before the stop sequence that is complete first, read character by character."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return min(starts)
    return len(text)


@given(pieces=some.lists(few, max_size=8), stops=some.lists(few.filter(bool), max_size=3))
def test_a_stop_sequence_is_found_wherever_the_pieces_are_cut_and_nothing_of_it_is_shown(pieces, stops):
    stop, shown, text = StopText(stops), [], "".join(pieces)
    for piece in pieces:
        shown.append(stop.push(piece))
        assert text[: where_it_ends(text, stops)].startswith("".join(shown))
        if stop.matched:
            break
    else:
        shown.append(stop.finish())
    assert "".join(shown) == text[: where_it_ends(text, stops)]
    assert stop.matched == any(sequence in text for sequence in stops)


def test_text_that_cannot_begin_a_stop_sequence_is_shown_at_once():
    stop = StopText(["END"])
    assert [stop.push(piece) for piece in ("some E", "x", "EN", "D more")] == ["some ", "Ex", "", ""]
