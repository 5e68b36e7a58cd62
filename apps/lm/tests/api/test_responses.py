"""/v1/responses as it is on the wire, read by the types of OpenAI's own client."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from apps.lm.tests.api.test_openai import post as post_chat
from apps.lm.tests.api.test_openai_parameters import schema

PATH = "/v1/responses"


def post(client, **body):
    body = {"model": "tiny-gpt2", "input": "the fox", "temperature": 0, "max_output_tokens": 5} | body
    return client.post(PATH, json=body)


def respond(client, **body) -> Response:
    answer = post(client, **body)
    assert answer.status_code == 200, answer.text
    return Response.model_validate(answer.json())


def events(answer) -> list[dict[str, Any]]:
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
    contents = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name for name, _ in blocks] == [f"event: {content['type']}" for content in contents]
    return contents


def test_the_answer_is_that_of_a_chat(client):
    response = respond(client, instructions="a")
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "the fox"}]
    chat = post_chat(client, "/v1/chat/completions", messages=turns).json()
    assert response.output_text == chat["choices"][0]["message"]["content"] != ""
    assert response.usage
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == tuple(
        chat["usage"].values()
    )
    assert response.incomplete_details
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_an_answer_that_the_model_or_a_stop_sequence_ends_is_completed(client):
    whole = respond(client, max_output_tokens=12).output_text
    response = respond(client, max_output_tokens=12, stop=whole[4:6])
    assert (response.status, response.incomplete_details) == ("completed", None)
    assert response.output_text == whole[: whole.index(whole[4:6])]


@pytest.mark.slow
def test_a_stream_has_the_events_of_openai_in_order_and_the_same_answer(client):
    whole = post(client).json()
    streamed = events(post(client, stream=True))
    for event in streamed:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    names = [event["type"].removeprefix("response.") for event in streamed]
    beginning = ["created", "in_progress", "output_item.added", "content_part.added"]
    ending = ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    deltas = ["output_text.delta"] * (len(names) - 8)
    assert names == beginning + deltas + ending
    assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))
    text = "".join(event["delta"] for event in streamed if event["type"].endswith("delta"))
    assert text == whole["output"][0]["content"][0]["text"] == streamed[-4]["text"]
    last = streamed[-1]["response"]
    volatile = {"id", "created_at", "output"}
    assert {key: value for key, value in last.items() if key not in volatile} == {
        key: value for key, value in whole.items() if key not in volatile
    }


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{"include": ["message.output_text.logprobs"]}, {"top_logprobs": 2}])
def test_logprobs_are_those_of_a_chat_whole_and_streamed(client, asked):
    response = respond(client, **asked)
    turns = {"messages": [{"role": "user", "content": "the fox"}]}
    chat = post_chat(client, "/v1/chat/completions", logprobs=True, **turns, top_logprobs=asked.get("top_logprobs", 0))
    expected = chat.json()["choices"][0]["logprobs"]["content"]
    (part,) = response.model_dump()["output"][0]["content"]
    assert part["logprobs"] == expected != []
    streamed = events(post(client, stream=True, **asked))
    deltas = [entry for event in streamed if event["type"].endswith("delta") for entry in event["logprobs"]]
    assert deltas == expected[: len(deltas)] != []  # a last token without text has no delta
    assert streamed[-4]["logprobs"] == streamed[-1]["response"]["output"][0]["content"][0]["logprobs"] == expected
    for event in streamed:
        TypeAdapter(ResponseStreamEvent).validate_python(event)


def test_logprobs_of_responses_are_bounded(client):
    assert post(client, top_logprobs=21).json()["error"]["param"] == "top_logprobs"
    assert post(client, include=["everything"]).json()["error"]["param"].startswith("include")
    assert respond(client, include=["reasoning.encrypted_content"]).output_text == respond(client).output_text
    (part,) = respond(client, include=["message.output_text.logprobs"]).model_dump()["output"][0]["content"]
    assert part["logprobs"]


def test_an_answer_can_be_sent_back_as_it_came(client):
    question = {"role": "user", "content": [{"type": "input_text", "text": "the fox"}]}
    answer = respond(client, input=[question])
    back = [item.model_dump() for item in answer.output]
    plain = [question, {"role": "assistant", "content": answer.output_text}, question]
    continued = respond(client, input=[question, *back, question], max_output_tokens=3)
    assert continued.output_text == respond(client, input=plain, max_output_tokens=3).output_text


def test_every_parameter_of_openai_is_known_and_null_changes_nothing(client):
    names = ResponseCreateParamsBase.__annotations__
    assert not set(names) - set(schema(client, PATH)["properties"])
    absent = {name: None for name in names if name not in ("model", "input", "temperature", "max_output_tokens")}
    assert respond(client, **absent).output_text == respond(client).output_text
    neutral = {"store": True, "truncation": "disabled", "tool_choice": "auto", "text": {"format": {"type": "text"}}}
    assert respond(client, **neutral, tools=[], metadata={"a": "b"}).metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search", "name": "a"}]}, "tools.0.type"),
        ({"background": True}, "background"),
        ({"input": []}, "input"),
        ({"input": [{"type": "reasoning", "role": "user", "content": "a"}]}, "input.0.type"),
        ({"input": ["the fox"]}, "input.0"),
        ({"input": [{"type": ["message"], "role": "user", "content": "a"}]}, "input.0.type"),
        ({"input": "the fox " * 30}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_cannot_be_answered_is_a_400_that_names_the_parameter(client, body, param):
    answer = post(client, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_what_needs_a_stored_answer_is_refused_with_the_remedy(client):
    for body in ({"previous_response_id": "resp_1"}, {"input": [{"type": "item_reference", "id": "msg_1"}]}):
        message = post(client, **body).json()["error"]["message"]
        assert "is not supported here; no answer is stored, so send all turns as messages" in message


def test_answers_and_examples_fit_the_document(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"][PATH]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        Draft202012Validator(content["schema"]).validate(example["value"])
        shorter = example["value"] | {"model": "tiny-gpt2", "input": "a", "instructions": "a", "max_output_tokens": 2}
        assert post(client, **shorter).status_code == 200
    answers = operation["responses"]["200"]["content"]
    whole = answers["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(whole).validate(post(client).json())
    data = answers["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
    for event in events(post(client, stream=True)):
        Draft202012Validator(data).validate(event)


def test_embeddings_are_refused_by_name(client):
    answer = client.post("/v1/embeddings", json={"model": "tiny-gpt2", "input": "a"})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "'tiny-gpt2' generates text and makes no embeddings. Ask a model that is made for them.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "unsupported_endpoint",
    }
