"""A function that must be called gets arguments of its schema; what a model may choose to call is refused by name."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from apps.lm.tests import tiny
from apps.lm.tests.api.test_openai import TURNS, events
from apps.lm.tests.api.test_openai import post as post_any
from apps.lm.tests.api.test_openai_formats import CONTEXT, HELD, PERSON
from apps.lm.tests.conftest import runtime_in, serving

PATH = "/v1/chat/completions"
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add_person", "parameters": PERSON}}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "now", "description": "The time"}}
NAMED: dict[str, Any] = {"type": "function", "function": {"name": "add_person"}}
TEMPLATE = """{% if tools %}{{ tools | tojson }}
{% endif %}{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}assistant:"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A model with an end token, whose template shows tools."""
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1", eos=0, context=4 * CONTEXT)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    with serving(tiny.publish(folder), max_total_tokens=4 * CONTEXT) as client:
        yield client


def post(client, **body):
    return post_any(client, PATH, **{"max_tokens": 150} | body)


def choice(client, **body) -> dict[str, Any]:
    answer = post(client, **body)
    assert answer.status_code == 200, answer.text
    ChatCompletion.model_validate(answer.json())
    (choice,) = answer.json()["choices"]
    return choice


@pytest.mark.parametrize(
    "demand",
    [{"tools": [OTHER, TOOL], "tool_choice": NAMED}, {"tools": [TOOL], "tool_choice": "required"}],
    ids=["named", "required"],
)
def test_a_demanded_call_has_arguments_of_its_schema_whole_and_streamed(client, demand):
    whole = choice(client, **demand)
    (call,) = whole["message"]["tool_calls"]
    assert (whole["message"]["content"], whole["finish_reason"]) == (None, "tool_calls")
    assert (call["type"], call["function"]["name"]) == ("function", "add_person")
    Draft202012Validator(PERSON).validate(json.loads(call["function"]["arguments"]))
    chunks = events(post(client, stream=True, **demand))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert "".join(call["function"]["arguments"] for call in calls) == call["function"]["arguments"]
    assert [call["function"].get("name") for call in calls] == ["add_person"] + [None] * (len(calls) - 1)
    assert {call["index"] for call in calls} == {0}
    assert (deltas[0]["role"], chunks[-1]["choices"][0]["finish_reason"]) == ("assistant", "tool_calls")


def test_the_template_shows_the_model_the_function_that_it_must_call(client):
    body = {"messages": TURNS, "tools": [OTHER, TOOL], "tool_choice": NAMED}
    shown = json.dumps(
        [{"type": "function", "function": {"name": "add_person", "description": "", "parameters": PERSON}}]
    )
    model = runtime_in(client).model
    expected = len(model.tokenize(f"{shown}\nuser: the fox\nassistant:"))
    assert post(client, **body).json()["usage"]["prompt_tokens"] == expected


@pytest.mark.slow
def test_a_call_has_no_arguments_but_those_that_the_function_declares(client):
    place = {"type": "object", "properties": {"row": {"enum": [1, 2]}}, "required": ["row"]}
    parameters = {
        "type": "object",
        "properties": {"place": {"$ref": "#/$defs/place"}, "others": {"type": "array", "items": place, "maxItems": 2}},
        "required": ["place", "others"],
        "$defs": {"place": place},
    }
    tool = {"type": "function", "function": {"name": "move", "parameters": parameters}}
    choices = post(client, tools=[tool], tool_choice="required", temperature=1.5, seed=1, n=20).json()["choices"]
    for each in choices:
        assert each["finish_reason"] == "tool_calls"
        arguments = json.loads(each["message"]["tool_calls"][0]["function"]["arguments"])
        assert set(arguments) == {"place", "others"}
        assert all(set(part) == {"row"} for part in [arguments["place"], *arguments["others"]])
    (call,) = choice(client, tools=[OTHER], tool_choice="required")["message"]["tool_calls"]
    assert call["function"]["arguments"] == "{}", "without parameters there are none"


def test_a_call_that_is_cut_says_so(client):
    assert choice(client, tools=[TOOL], tool_choice=NAMED, max_tokens=2)["finish_reason"] == "length"


@pytest.mark.slow
def test_tools_that_may_not_be_called_change_nothing(client):
    plain = choice(client)
    uncalled: list[dict[str, Any]] = [{"tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "none"}, {"tools": []}]
    for nothing in uncalled:
        assert choice(client, **nothing) == plain


@pytest.mark.slow
def test_a_call_can_be_sent_back_with_its_result_and_is_what_the_model_wrote(client):
    message = choice(client, tools=[TOOL], tool_choice=NAMED)["message"]
    (call,) = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "added"}
    written = {"role": "assistant", "content": call["function"]["arguments"]}
    plain = choice(client, messages=[*TURNS, written, {"role": "tool", "content": "added"}, *TURNS])
    assert choice(client, messages=[*TURNS, message, result, *TURNS]) == plain


@pytest.mark.parametrize(
    ("body", "param", "rule"),
    [
        ({"tools": [TOOL]}, "tools", "would be called as the model chooses, by texts in a form of its own"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tools", 'set tool_choice to the function to call, to "required"'),
        ({"tools": [TOOL, OTHER], "tool_choice": "required"}, "tool_choice", "is required with 2 tools"),
        ({"tool_choice": "required"}, "tool_choice", "is required with 0 tools"),
        ({"tools": [OTHER], "tool_choice": NAMED}, "tool_choice", "names 'add_person', and tools have now"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice", 'is not "none", "auto", "required" or {'),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type", "'function'"),
        ({"tools": [TOOL], "tool_choice": NAMED, "response_format": HELD}, "response_format", "demands a call"),
        ({"tools": [TOOL], "tool_choice": NAMED, "min_tokens": 3}, "tools", "min_tokens or ignore_eos"),
    ],
)
def test_what_cannot_be_called_is_a_400_that_names_it(client, body, param, rule):
    answer = post(client, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert rule in answer.json()["error"]["message"]


def test_parameters_that_cannot_be_held_are_named(client):
    tool = {"type": "function", "function": {"name": "a", "parameters": {"not": {"type": "string"}}}}
    error = post(client, tools=[tool], tool_choice="required").json()["error"]
    assert (error["param"], error["code"]) == ("tools", "invalid_schema")
    assert error["message"].startswith("Invalid schema for tools: ")


@pytest.mark.slow
def test_calls_fit_the_documented_answer(client):
    document = client.get("/openapi.json").json()
    content = document["paths"][PATH]["post"]["responses"]["200"]["content"]
    body = {"tools": [TOOL], "tool_choice": NAMED}
    whole = content["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(whole).validate(post(client, **body).json())
    data = content["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
    for chunk in events(post(client, stream=True, **body)):
        Draft202012Validator(data).validate(chunk)
