"""Answers held to a JSON schema fit it, whole or streamed, alone or beside others."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from apps.lm.tests import tiny
from apps.lm.tests.api.test_openai import events, post
from apps.lm.tests.api.test_responses import post as respond
from apps.lm.tests.conftest import runtime_in, serving

CONTEXT = 200
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "pet": {"enum": ["cat", "dog", None]},
    },
    "required": ["name", "age", "pet"],
    "additionalProperties": False,
}
HELD = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A model with an end token, without which nothing ends an answer."""
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1", eos=0, context=CONTEXT)
    with serving(tiny.publish(folder), max_total_tokens=CONTEXT) as client:
        yield client


@pytest.mark.slow
def test_every_sampled_answer_fits_the_schema(client):
    body = {"n": 100, "temperature": 1.5, "seed": 1, "max_tokens": 150, "response_format": HELD}
    choices = post(client, CHAT, **body).json()["choices"]
    assert {choice["finish_reason"] for choice in choices} == {"stop"}
    contents = [choice["message"]["content"] for choice in choices]
    for content in contents:
        Draft202012Validator(PERSON).validate(json.loads(content))
    assert len(set(contents)) > 50


@pytest.mark.slow
@pytest.mark.parametrize("path", [CHAT, COMPLETION])
def test_a_stream_is_the_same_answer_and_others_beside_it_stay_free(client, path):
    free = post(client, path, max_tokens=20).json()["choices"][0]
    body = {"response_format": HELD, "max_tokens": 150}
    whole = post(client, path, **body).json()["choices"][0]
    text = whole["text"] if path == COMPLETION else whole["message"]["content"]
    Draft202012Validator(PERSON).validate(json.loads(text))
    choices = [chunk["choices"][0] for chunk in events(post(client, path, stream=True, **body))]
    parts = [choice["text"] if path == COMPLETION else choice["delta"].get("content", "") for choice in choices]
    assert "".join(parts) == text
    assert post(client, path, max_tokens=20).json()["choices"][0] == free


@pytest.mark.slow
def test_a_json_object_is_what_it_says(client):
    (end,) = runtime_in(client).model.tokenizer.encode("}")
    body = {"response_format": {"type": "json_object"}, "max_tokens": 150, "temperature": 1, "seed": 3, "n": 20}
    body["logit_bias"] = {str(end): 4}
    choices = post(client, CHAT, **body).json()["choices"]
    ended = [choice["message"]["content"] for choice in choices if choice["finish_reason"] == "stop"]
    assert ended
    assert all(isinstance(json.loads(content), dict) for content in ended)
    assert all(choice["message"]["content"].startswith("{") for choice in choices)


def test_responses_have_the_schema_beside_its_type(client):
    text = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
    body = respond(client, text=text, max_output_tokens=150).json()
    assert (body["status"], body["text"]) == ("completed", text)
    Draft202012Validator(PERSON).validate(json.loads(body["output"][0]["content"][0]["text"]))


def test_an_object_may_come_with_its_schema_as_hugging_faces_client_sends_it(client):
    answer = post(client, CHAT, response_format={"type": "json_object", "value": PERSON}, max_tokens=150)
    Draft202012Validator(PERSON).validate(json.loads(answer.json()["choices"][0]["message"]["content"]))


def test_bias_and_penalties_do_not_leave_the_schema(client):
    bias = {str(token): 100 for token in range(1, 40)}
    body = {"logit_bias": bias, "repetition_penalty": 3, "presence_penalty": 2, "top_k": 2, "temperature": 1}
    answer = post(client, CHAT, response_format=HELD, max_tokens=150, seed=2, **body)
    Draft202012Validator(PERSON).validate(json.loads(answer.json()["choices"][0]["message"]["content"]))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strange"}, "Invalid type: strange"),
        ({"$ref": "#/nothing"}, "Pointer '/nothing' does not exist"),
        ({"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
        ({"$ref": "http://127.0.0.1/schema"}, "does not fetch resources"),
    ],
)
def test_a_schema_that_cannot_be_held_is_a_400_with_the_reason(client, schema, reason):
    requested = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    answer = post(client, CHAT, response_format=requested)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "response_format", "invalid_schema")
    assert error["message"].startswith("Invalid schema for response_format: ")
    assert reason in error["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": HELD, "ignore_eos": True}, "response_format"),
        ({"response_format": HELD, "min_tokens": 3}, "response_format"),
    ],
)
def test_a_wrong_format_is_a_400_that_names_it(client, body, param):
    answer = post(client, CHAT, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.slow
def test_a_schema_that_grows_beyond_the_limits_while_it_is_held_is_a_400_too(client):
    schema = {"type": "string", "pattern": "^(([a-z]{1,50}|x){1,300}y)*z$"}
    requested = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    encode = runtime_in(client).model.tokenizer.encode
    letters = {str(encode(letter)[0]): 50 for letter in "abcdefghijklmnopqrstuvw"}
    body = {"response_format": requested, "logit_bias": letters, "temperature": 1}
    answers = [post(client, CHAT, **body, max_tokens=None, seed=seed) for seed in range(3)]
    assert {answer.json()["error"]["code"] for answer in answers} == {"invalid_schema"}
    assert {answer.status_code for answer in answers} == {400}


def test_a_model_without_an_end_token_cannot_be_held(folders):
    with serving(folders["gpt2"]) as client:
        error = post(client, CHAT, response_format=HELD).json()["error"]
    assert error["message"] == ("Invalid schema for response_format: the model's tokenizer cannot be held to a schema.")
