"""Functions that must be called in /v1/responses, read by the types of OpenAI's own client."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from apps.lm.tests.api.test_openai_formats import PERSON
from apps.lm.tests.api.test_openai_tools import NAMED, PARAMETERS, SEVERAL, TOOL
from apps.lm.tests.api.test_openai_tools import choice as chat_choice
from apps.lm.tests.api.test_responses import PATH, events, post, respond

ADD: dict[str, Any] = {"type": "function", "name": "add_person", "parameters": PERSON, "strict": True}
STRICT = {"type": "function", "function": TOOL["function"] | {"strict": True}}
TOOLS = [{"type": "function", "name": name, "parameters": parameters} for name, parameters in PARAMETERS.items()]
DEMAND = {"tools": [ADD], "tool_choice": {"type": "function", "name": "add_person"}, "max_output_tokens": 150}
CHOICE = {"tools": TOOLS, "tool_choice": "required", "max_output_tokens": 150, "temperature": 1.5, "seed": 2}


@pytest.fixture
def client(calling):
    return calling


@pytest.mark.slow
@pytest.mark.parametrize(
    ("demand", "chat"),
    [
        (DEMAND, {"tools": [STRICT], "tool_choice": NAMED}),
        (CHOICE, {"tools": SEVERAL, "tool_choice": "required", "temperature": 1.5, "seed": 2}),
    ],
)
def test_the_call_is_that_of_a_chat(client, demand, chat):
    response = respond(client, **demand)
    (item,) = response.output
    (call,) = chat_choice(client, **chat)["message"]["tool_calls"]
    assert item.type == "function_call"
    assert (item.name, item.arguments) == (call["function"]["name"], call["function"]["arguments"])
    assert (item.status, response.status, item.call_id[:5]) == ("completed", "completed", "call_")


@pytest.mark.slow
@pytest.mark.parametrize("demand", [DEMAND, CHOICE])
def test_a_stream_has_the_events_of_a_call_in_order_and_the_same_call(client, demand):
    (item,) = post(client, **demand).json()["output"]
    streamed = events(post(client, stream=True, **demand))
    for event in streamed:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    names = [event["type"].removeprefix("response.") for event in streamed]
    deltas = ["function_call_arguments.delta"] * (len(names) - 6)
    ending = ["function_call_arguments.done", "output_item.done", "completed"]
    assert names == ["created", "in_progress", "output_item.added", *deltas, *ending]
    assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))
    arguments = "".join(event["delta"] for event in streamed if event["type"].endswith("delta"))
    assert arguments == item["arguments"] == streamed[-3]["arguments"]
    (last,) = streamed[-1]["response"]["output"]
    assert streamed[-2]["item"] == last
    for volatile in ("id", "call_id"):
        assert last.pop(volatile) and item.pop(volatile)
    assert last == item
    assert streamed[2]["item"]["name"] == item["name"]


def test_a_call_that_is_cut_is_incomplete_and_before_its_name_there_is_none(client):
    cut = respond(client, **DEMAND | {"max_output_tokens": 2})
    assert (cut.status, cut.output[0].status) == ("incomplete", "incomplete")  # type: ignore[union-attr]  # a call
    unnamed = CHOICE | {"max_output_tokens": 2}
    assert respond(client, **unnamed).output == []
    streamed = events(post(client, stream=True, **unnamed))
    assert [event["type"].removeprefix("response.") for event in streamed] == ["created", "in_progress", "incomplete"]


@pytest.mark.slow
def test_a_call_and_its_result_are_sent_back_as_the_turns_of_a_chat(client):
    question = {"role": "user", "content": "the fox"}
    (call,) = post(client, **DEMAND).json()["output"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "added"}
    parts = result | {"output": [{"type": "input_text", "text": "added"}]}
    chat = [
        {"role": "assistant", "content": call["arguments"]},
        {"role": "tool", "content": "added"},
    ]
    expected = chat_choice(client, messages=[question, *chat, question], max_tokens=5)["message"]["content"]
    for back in (result, parts):
        body = {"input": [question, call, back, question], "tools": [ADD], "tool_choice": "none"}
        assert respond(client, **body).output_text == expected
    answer = Response.model_validate(post(client, **DEMAND).json())
    dumped = [item.model_dump() for item in answer.output]
    assert respond(client, input=[question, *dumped, result, question]).output_text == expected


def test_the_answer_repeats_the_tools_and_the_choice(client):
    response = respond(client, **DEMAND).model_dump(exclude_none=True)
    assert (response["tools"], response["tool_choice"]) == ([ADD], {"type": "function", "name": "add_person"})
    assert respond(client, **CHOICE).tool_choice == "required"
    assert respond(client, tools=TOOLS, tool_choice="none").tool_choice == "none"


@pytest.mark.parametrize(
    ("body", "param", "rule"),
    [
        ({"tools": [ADD]}, "tools", "would be called as 'tiny-gpt2' chooses"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "name": "now"}}, "tool_choice", "names 'now', and tools"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tools.0.name", "is required"),
        ({"tools": [ADD], "tool_choice": NAMED}, "tool_choice", '{"type": "function", "name": …}'),
        (DEMAND | {"text": {"format": {"type": "json_object"}}}, "text", "demands a call"),
        ({"input": [{"type": "function_call", "call_id": "a", "name": "b"}]}, "input.0.arguments", "is required"),
        ({"input": [{"type": "function_call_output", "call_id": "a"}]}, "input.0.output", "is required"),
        (
            {"tools": [ADD | {"parameters": {"not": {}}}], "tool_choice": "required"},
            "tools",
            "Invalid schema for tools",
        ),
    ],
)
def test_what_cannot_be_called_is_a_400_that_names_it(client, body, param, rule):
    answer = post(client, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert rule in answer.json()["error"]["message"]


@pytest.mark.slow
def test_calls_fit_the_document(client):
    document = client.get("/openapi.json").json()
    answers = document["paths"][PATH]["post"]["responses"]["200"]["content"]
    whole = answers["application/json"]["schema"] | {"components": document["components"]}
    data = answers["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
    for demand in (DEMAND, CHOICE):
        Draft202012Validator(whole).validate(post(client, **demand).json())
        for event in events(post(client, stream=True, **demand)):
            Draft202012Validator(data).validate(event)


@pytest.mark.slow
def test_arguments_fit_their_function(client):
    for seed in range(8):
        (item,) = respond(client, **CHOICE | {"seed": seed}).output
        assert item.type == "function_call"
        Draft202012Validator(PARAMETERS[item.name]).validate(json.loads(item.arguments))
