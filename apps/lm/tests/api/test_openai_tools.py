"""A demanded call has arguments of its function's schema; test_openai_choice.py has calls that the model chooses."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from apps.lm.api.openai.reading import CallPiece, DemandedCallReader
from apps.lm.api.openai.tools import Function
from apps.lm.tests.api.test_openai import TURNS, events
from apps.lm.tests.api.test_openai import post as post_any
from apps.lm.tests.api.test_openai_formats import HELD, PERSON
from apps.lm.tests.conftest import runtime_in

PATH = "/v1/chat/completions"
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add_person", "parameters": PERSON}}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "now", "description": "The time"}}
NAMED: dict[str, Any] = {"type": "function", "function": {"name": "add_person"}}


@pytest.fixture
def client(calling):
    return calling


def post(client, **body):
    return post_any(client, PATH, **{"max_tokens": 150} | body)


def choice(client, **body) -> dict[str, Any]:
    answer = post(client, **body)
    assert answer.status_code == 200, answer.text
    ChatCompletion.model_validate(answer.json())
    (choice,) = answer.json()["choices"]
    return choice


@pytest.mark.slow
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


PARAMETERS = {  # both have a definition of the same name
    "walk": {"$ref": "#/$defs/place", "$defs": {"place": {"enum": ["north", "south"]}}},
    "count": {"type": "object", "properties": {"to": {"$ref": "#/$defs/place"}}, "required": ["to"]}
    | {"$defs": {"place": {"enum": [1, 2, 3]}}},
}
SEVERAL = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS[name]}} for name in PARAMETERS]


@pytest.mark.slow
def test_of_several_functions_the_model_chooses_one_and_its_arguments_fit_that_one(client):
    body = {"tools": SEVERAL, "tool_choice": "required", "temperature": 1.5, "seed": 1, "n": 40}
    choices = post(client, **body).json()["choices"]
    assert {choice["finish_reason"] for choice in choices} == {"tool_calls"}
    functions = [call["function"] for choice in choices for call in choice["message"]["tool_calls"]]
    assert {function["name"] for function in functions} == set(PARAMETERS)
    for function in functions:
        Draft202012Validator(PARAMETERS[function["name"]]).validate(json.loads(function["arguments"]))
    arguments = {function["arguments"] for function in functions}
    assert arguments == {'"north"', '"south"', '{"to": 1}', '{"to": 2}', '{"to": 3}'}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_call_is_streamed_with_its_name_first(client, seed):
    body = {"tools": SEVERAL, "tool_choice": "required", "temperature": 1.5, "seed": seed, "logprobs": True}
    whole = choice(client, **body)
    (call,) = whole["message"]["tool_calls"]
    chunks = events(post(client, stream=True, **body))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    first, *others = [part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert (first["function"]["name"], first["type"], first["id"][:5]) == (
        call["function"]["name"],
        "function",
        "call_",
    )
    assert all(set(part) == {"index", "function"} and set(part["function"]) == {"arguments"} for part in others)
    pieces = [part["function"]["arguments"] for part in (first, *others)]
    assert "".join(pieces) == call["function"]["arguments"]
    logprobs = [entry for chunk in chunks for entry in chunk["choices"][0]["logprobs"]["content"]]
    assert logprobs == whole["logprobs"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('{"name": "b", "arguments": {"a": {}}}', "b", '{"a": {}}'),
        ('{"name": "b", "arguments": "}"}', "b", '"}"'),
        ('{"name": "b", "arguments": {"a": {}', "b", '{"a": {}'),
        ('{"name": "b", "arguments": 12', "b", "12"),
        ('{"name": "b", "arguments": "x}', "b", '"x}'),
        ('{"name": "b", "arguments": {}', "b", "{}"),
        ('{"name": "b", "argum', "", ""),
        ("", "", ""),
    ],
)
@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_a_call_by_name_is_divided_whole_or_cut_in_pieces_of_any_length(text, name, arguments, length):
    reader = DemandedCallReader([Function(name="a"), Function(name="b")])
    parts = [part for start in range(0, len(text), length) for part in reader.push(text[start : start + length])]
    pieces = [part for part in parts + reader.finish() if isinstance(part, CallPiece)]
    assert "".join(piece.arguments for piece in pieces) == arguments
    assert {piece.call.name for piece in pieces} == ({name} if name else set())
    assert [piece.first for piece in pieces] == [True] * bool(name) + [False] * (len(pieces) - 1)


def test_a_call_that_is_cut_before_its_name_is_known_is_none(client):
    body = {"tools": SEVERAL, "tool_choice": "required", "max_tokens": 2}
    whole = choice(client, **body)
    assert (whole["message"]["content"], whole["message"]["tool_calls"], whole["finish_reason"]) == (
        None,
        None,
        "length",
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in events(post(client, stream=True, **body))]
    assert deltas[0] == {"role": "assistant", "content": None} and not any(deltas[1:])
    stopped = choice(client, **body | {"max_tokens": 150, "stop": "name"})
    assert (stopped["message"]["tool_calls"], stopped["finish_reason"]) == (None, "stop")


@pytest.mark.slow
def test_the_template_shows_the_model_the_function_that_it_must_call(client):
    body = {"messages": TURNS, "tools": [OTHER, TOOL], "tool_choice": NAMED}
    shown = json.dumps(
        [{"type": "function", "function": {"name": "add_person", "description": "", "parameters": PERSON}}]
    )
    model = runtime_in(client).model
    expected = len(model.tokenize(f"{shown}\nuser: the fox\nassistant:"))
    assert post(client, **body).json()["usage"]["prompt_tokens"] == expected
    model_chooses = {"messages": TURNS, "tools": [OTHER, TOOL], "tool_choice": "required"}
    assert post(client, **model_chooses).json()["usage"]["prompt_tokens"] > expected, "it sees both"


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
    written["content"] = f'{{"name": "add_person", "arguments": {call["function"]["arguments"]}}}'
    named = choice(client, messages=[*TURNS, written, {"role": "tool", "content": "added"}, *TURNS])
    several = {"tools": [TOOL, OTHER], "tool_choice": "none"}
    assert choice(client, messages=[*TURNS, message, result, *TURNS], **several) == named != plain


@pytest.mark.parametrize(
    ("body", "param", "rule"),
    [
        ({"tools": [TOOL]}, "tools", "would be called as 'tiny-gpt2' chooses, in a form that is not read here"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tools", 'set tool_choice to the function to call, to "required"'),
        ({"tools": [TOOL, OTHER, TOOL], "tool_choice": "required"}, "tools", "'add_person' more than once"),
        ({"tool_choice": "required"}, "tool_choice", "is required without tools"),
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


def test_mistakes_of_all_fields_are_told_at_once(client):
    body = {"tools": [OTHER], "tool_choice": NAMED, "top_logprobs": 2, "min_tokens": 200}
    detail = post(client, **body).json()["error"]["message"]
    assert all(f"#/{name}: " in detail for name in ("tool_choice", "top_logprobs", "min_tokens"))


@pytest.mark.parametrize("others", [[], [OTHER]])
def test_parameters_that_cannot_be_held_are_named(client, others):
    tool = {"type": "function", "function": {"name": "a", "parameters": {"not": {"type": "string"}}}}
    error = post(client, tools=[tool, *others], tool_choice="required").json()["error"]
    assert (error["param"], error["code"]) == ("tools", "invalid_schema")
    assert error["message"].startswith("Invalid schema for tools: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "demand", [{"tools": [TOOL], "tool_choice": NAMED}, {"tools": SEVERAL, "tool_choice": "required"}]
)
def test_calls_fit_the_documented_answer(client, demand):
    document = client.get("/openapi.json").json()
    content = document["paths"][PATH]["post"]["responses"]["200"]["content"]
    body = demand | {"temperature": 1, "seed": 1}
    whole = content["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(whole).validate(post(client, **body).json())
    data = content["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
    for chunk in events(post(client, stream=True, **body)):
        Draft202012Validator(data).validate(chunk)
