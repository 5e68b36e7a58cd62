"""The text of an answer is divided into words and calls in the same way wherever its pieces are cut."""

import json

import pytest

from apps.lm.api.openai.reading import CallPiece, ChosenCallReader, Part
from apps.lm.api.openai.tools import Function
from apps.lm.call_format import CallFormat

TAGS = CallFormat("<tool_call>", "</tool_call>", "name", "arguments")
BARE = CallFormat("", "", "name", "parameters")
MARKED = CallFormat("[CALLS]", "", "name", "arguments")
FUNCTIONS = [Function(name="add"), Function(name="now")]
ADD = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
NOW = '<tool_call>{"arguments": {}, "name": "now"}</tool_call>'


def written(parts: list[Part]) -> list[str | tuple[str, str]]:
    """The parts, with neighbouring pieces of text joined."""
    result: list[str | tuple[str, str]] = []
    for part in parts:
        if isinstance(part, CallPiece):
            assert part.first and part.arguments == part.call.arguments
            result.append((part.call.name, part.arguments))
        elif result and isinstance(result[-1], str):
            result[-1] += part
        else:
            result.append(part)
    return result


def read(call_format: CallFormat, text: str, length: int, parallel: bool = True) -> list[str | tuple[str, str]]:
    reader = ChosenCallReader(call_format, FUNCTIONS, parallel)
    parts = [part for start in range(0, len(text), length) for part in reader.push(text[start : start + length])]
    parts += reader.finish()
    assert "" not in parts
    indices = [part.call.index for part in parts if isinstance(part, CallPiece)]
    assert indices == list(range(len(indices)))
    return written(parts)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("call_format", "text", "parts"),
    [
        (TAGS, ADD, [("add", '{"a": 1}')]),
        (TAGS, f"I add.\n\n{ADD}\n", ["I add.", ("add", '{"a": 1}')]),
        (TAGS, f"{ADD}\n{NOW}", [("add", '{"a": 1}'), ("now", "{}")]),
        (TAGS, f"{ADD} and {NOW} so", [("add", '{"a": 1}'), "and", ("now", "{}"), "so"]),
        (TAGS, ADD.removesuffix("\n</tool_call>"), [("add", '{"a": 1}')]),
        (TAGS, f"{ADD.removesuffix('</tool_call>')}</tool", [("add", '{"a": 1}'), "</tool"]),
        (TAGS, " a <tool> <tool_cal", [" a <tool> <tool_cal"]),
        (TAGS, "words \n ", ["words \n "]),
        (TAGS, "", []),
        (TAGS, ADD[:-25], [ADD[:-25]]),
        (TAGS, "<tool_call> nothing </tool_call> more", ["<tool_call> nothing </tool_call> more"]),
        (TAGS, ADD.replace("add", "close"), [ADD.replace("add", "close")]),
        (TAGS, f"{ADD.replace('add', 'close')}{NOW}", [ADD.replace("add", "close"), ("now", "{}")]),
        (TAGS, ADD.replace('{"a": 1}', "1"), [ADD.replace('{"a": 1}', "1")]),
        (TAGS, ADD.replace("1", "NaN"), [ADD.replace("1", "NaN")]),
        (TAGS, ADD.replace("1", '"\\ud800"'), [ADD.replace("1", '"\\ud800"')]),
        (TAGS, ADD.replace("1", "[" * 3000), [ADD.replace("1", "[" * 3000)]),
        (TAGS, ADD.replace("1", '"</tool_call> ä"'), [("add", '{"a": "</tool_call> ä"}')]),
        (TAGS, f"<tool_call>[{ADD[12:-13]}, {NOW[11:-12]}]</tool_call>", [("add", '{"a": 1}'), ("now", "{}")]),
        (BARE, ' {"name": "now", "parameters": {}}\n', [("now", "{}")]),
        (BARE, 'So {"name": "now", "parameters": {}}', ['So {"name": "now", "parameters": {}}']),
        (BARE, '{"name": "Ada", "parameters": {}} {"name": "now", "parameters": {}}', None),
        (BARE, '{"name": "now"}', ['{"name": "now"}']),
        (BARE, '[{"name": "now", "parameters": {}}]', [("now", "{}")]),
        (MARKED, 'Yes. [CALLS][{"name": "now", "arguments": {}, "id": "123456789"}]', ["Yes.", ("now", "{}")]),
    ],
)
def test_words_and_calls_are_the_same_in_pieces_of_any_length(call_format, text, parts, length):
    assert read(call_format, text, length) == ([text] if parts is None else parts)


@pytest.mark.parametrize("length", [1, 1000])
def test_without_parallel_calls_only_the_first_one_counts(length):
    assert read(TAGS, f"{ADD}{NOW} so", length, parallel=False) == [("add", '{"a": 1}'), "so"]
    listed = json.dumps([{"name": name, "arguments": {}} for name in ("now", "add")])
    assert read(MARKED, f"[CALLS]{listed}", length, parallel=False) == [("now", "{}")]


def test_words_are_handed_over_as_they_come_except_what_may_begin_a_call():
    reader = ChosenCallReader(TAGS, FUNCTIONS, parallel=True)
    assert [reader.push(piece) for piece in ("one ", "two <to", "ols> three", "<tool_call>")] == [
        ["one"],
        [" two"],
        [" <tools> three"],
        [],
    ]
