"""How a model writes calls is read from its chat template, for templates of each form that is read and that is not."""

import pytest

from apps.lm.call_format import CallFormat, ToolSupport
from apps.lm.chat_template import ChatTemplate

SHOWN = "{% if tools %}{{ tools | tojson }}{% endif %}"
RESULT = "{% if message.role == 'tool' %}<result>{{ message.content }}</result>"
TURNS = SHOWN + "{% for message in messages %}<{{ message.role }}>" + RESULT
TEXT = (
    "{% else %}{{ message.content }}{% endif %}<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
TAGS = TURNS + (  # as Hermes and Qwen
    "{% elif message.tool_calls %}{% for call in message.tool_calls %}"
    '<tool_call>{{ "\n" }}{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    '{{ "\n" }}</tool_call>{% endfor %}' + TEXT
)
BARE = TURNS + (  # as Llama 3
    "{% elif message.tool_calls %}{% set call = message.tool_calls[0].function %}"
    '{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}' + TEXT
)
LISTED = TURNS + (  # as Mistral, which takes only ids of nine characters
    "{% elif message.tool_calls %}[CALLS][{% for call in message.tool_calls %}"
    "{% if call.id | length != 9 %}{{ raise_exception('bad id') }}{% endif %}"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}, "id": "{{ call.id }}"}'
    "{% if not loop.last %}, {% endif %}{% endfor %}]" + TEXT
)
XML = TURNS + (  # as the coding models of Qwen
    "{% elif message.tool_calls %}{% for call in message.tool_calls %}<function={{ call.function.name }}>"
    "{% for name, value in call.function.arguments.items() %}<{{ name }}>{{ value }}</{{ name }}>{% endfor %}"
    "</function>{% endfor %}" + TEXT
)
THINKING = TAGS.replace("<tool_call>", "{{ message.thoughts or '' }}<tool_call>").replace(
    "{% if add_generation_prompt %}<assistant>", "{% if add_generation_prompt %}<assistant><think>"
)
OTHER_TURN = TAGS.replace("<tool_call>{{", "<no_text><tool_call>{{").replace("{% else %}", "{% else %}<text>")
LONG = TAGS.replace("<tool_call>", "<tool_call>{{ 'a' * 300 }}")
SILENT = TURNS.removeprefix(SHOWN) + TEXT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "support"),
    [
        (TAGS, ToolSupport(True, True, CallFormat("<tool_call>\n", "\n</tool_call>", "name", "arguments"))),
        (THINKING, ToolSupport(True, True, CallFormat("<tool_call>\n", "\n</tool_call>", "name", "arguments"))),
        (BARE, ToolSupport(True, True, CallFormat("", "", "name", "parameters"))),
        (LISTED, ToolSupport(True, True, CallFormat("[CALLS]", "", "name", "arguments"))),
        (XML, ToolSupport(True, True, None)),
        (OTHER_TURN, ToolSupport(True, True, None)),
        (LONG, ToolSupport(True, True, None)),
        (TURNS + TEXT, ToolSupport(True, False, None)),
        (SILENT, ToolSupport(False, False, None)),
        ("{{ raise_exception('no tools here') }}", ToolSupport(False, False, None)),
        ("{{ 'a' * 10 ** 10 }}", ToolSupport(False, False, None)),
    ],
    ids=[
        "tags",
        "thinking",
        "bare",
        "listed",
        "xml",
        "other turn",
        "long",
        "shown only",
        "silent",
        "refused",
        "too large",
    ],
)
def test_the_format_is_that_of_the_template(template, support):
    assert ChatTemplate(template, {}).tool_support == support


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        ({"name": "a", "parameters": {"x": 1}}, [("a", {"x": 1})]),
        ({"name": "a", "parameters": {}, "id": "1"}, [("a", {})]),
        ([{"name": "a", "parameters": {}}, {"name": "b", "parameters": {}}], [("a", {}), ("b", {})]),
        ([{"name": "a", "parameters": {}}, {"name": "b"}], []),
        ({"name": "a", "arguments": {}}, []),
        ({"name": 1, "parameters": {}}, []),
        ({"name": "a", "parameters": "{}"}, []),
        ([], []),
        (7, []),
    ],
)
def test_the_calls_in_a_value_are_read_or_it_is_none(value, calls):
    assert CallFormat("", "", "name", "parameters").read(value) == calls


def test_an_answer_has_neither_special_tokens_nor_the_white_space_of_the_template():
    written = CallFormat("<|call|>\nAction:\n", "\n<|end|>", "name", "arguments")
    decoded = written.decoded(lambda text: text.replace("<|call|>", "").replace("<|end|>", ""))
    assert decoded == CallFormat("Action:", "", "name", "arguments")
