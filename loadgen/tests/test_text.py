"""Foreign text in a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.text import LENGTH, duration, error_name, safe


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain words", "plain words"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("two\r\nlines", r"two\r\nlines"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("\x9b31m", r"\x9b31m"),
        ("Straße [bold]", "Straße [bold]"),
        ("x" * 500, "x" * (LENGTH - 1) + "…"),
    ],
)
def test_what_a_terminal_could_act_on_is_escaped(text, escaped):
    assert safe(text) == escaped


@given(st.text())
def test_shown_text_is_one_line_of_printable_characters(text):
    assert all(unicodedata.category(character)[0] not in "CZ" or character == " " for character in safe(text))


def test_a_servers_words_are_escaped_in_an_error():
    assert error_name("http", 503, "\x1b[31mfull") == r"HTTP 503: \x1b[31mfull"
    assert error_name("timeout", None, None) == "timeout"


def test_a_duration_just_below_a_second_is_not_a_thousand_milliseconds():
    assert [duration(seconds) for seconds in (0.99949, 0.9996, 1)] == ["999 ms", "1.00 s", "1.00 s"]
