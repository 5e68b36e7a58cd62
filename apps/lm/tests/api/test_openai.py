"""/v1 as it is on the wire; test_openai_client.py uses OpenAI's own client."""

import json

import pytest
from jsonschema import Draft202012Validator

from apps.lm.tests import tiny
from apps.lm.tests.conftest import serving

MODEL = "tiny-gpt2"
TURNS = [{"role": "user", "content": "the fox"}]
BODIES: dict[str, dict[str, object]] = {
    "/v1/completions": {"prompt": "the fox"},
    "/v1/chat/completions": {"messages": TURNS},
}


def post(client, path: str, **body):
    return client.post(path, json={"model": MODEL, "temperature": 0, "max_tokens": 5} | BODIES[path] | body)


def events(answer) -> list:
    *lines, done = [line for line in answer.text.splitlines() if line]
    assert done == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.fixture(params=BODIES)
def path(request) -> str:
    return request.param


def test_a_completion_has_the_text_of_generate(client):
    body = post(client, "/v1/completions").json()
    (choice,) = body.pop("choices")
    same = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 5}).json()
    assert choice == {"index": 0, "text": same["generated_text"], "logprobs": None, "finish_reason": "length"}
    assert (body["object"], body["model"], body["usage"]) == ("text_completion", MODEL, same["usage"])
    assert body["id"].startswith("cmpl-")


def test_a_chat_is_rendered_with_the_models_template(client):
    turns = [{"role": "developer", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "the fox"}]}]
    body = post(client, "/v1/chat/completions", messages=turns).json()
    written = {"prompt": "system: a\nuser: the fox\nassistant:", "max_new_tokens": 5}
    same = client.post("/generate", json=written).json()
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": same["generated_text"], "refusal": None}
    assert (body["object"], body["usage"]) == ("chat.completion", same["usage"])


def test_a_stream_has_the_same_text_the_finish_reason_and_usage_if_requested(client, path):
    whole = post(client, path).json()
    chunks = events(post(client, path, stream=True, stream_options={"include_usage": True}))
    *texts, usage = chunks
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert {chunk["usage"] for chunk in texts} == {None}
    choices = [chunk["choices"][0] for chunk in texts]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    parts = [choice["delta"].get("content", "") if "delta" in choice else choice["text"] for choice in choices]
    (choice,) = whole["choices"]
    assert "".join(parts) == (choice["text"] if "text" in choice else choice["message"]["content"])
    if "delta" in choices[0]:
        assert [choice["delta"].get("role") for choice in choices] == ["assistant"] + [None] * (len(choices) - 1)
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_without_stream_options_a_stream_has_no_usage(client, path):
    assert not any("usage" in chunk for chunk in events(post(client, path, stream=True)))


@pytest.mark.slow
def test_tokens_are_sampled_unless_the_temperature_is_zero(client):
    def text(**body) -> str:
        return post(client, "/v1/completions", max_tokens=20, **body).json()["choices"][0]["text"]

    assert text(temperature=None, seed=1) == text(temperature=1, seed=1) == text(seed=1, temperature=1, top_p=1)
    assert text(temperature=None, seed=1) != text(temperature=None, seed=2)
    assert text(temperature=0, top_p=0.5, seed=1) == text()


@pytest.mark.slow
def test_without_max_tokens_a_completion_has_up_to_64_tokens_and_a_chat_as_many_as_fit(tmp_path):
    folder = tiny.publish(tiny.save("gpt2", tmp_path / "roomy_v1", context=200))
    with serving(folder, max_total_tokens=200) as client:
        usages = [post(client, path, model="roomy", max_tokens=None).json()["usage"] for path in BODIES]
    assert [usages[0]["completion_tokens"], usages[1]["total_tokens"]] == [64, 200]


@pytest.mark.parametrize(
    ("path", "body", "param", "rule"),
    [
        ("/v1/completions", {"temperatur": 1}, "temperatur", "not known here"),
        ("/v1/chat/completions", {"messages": []}, "messages", "at least 1 item"),
        ("/v1/chat/completions", {"messages": [{"role": "function", "content": "a"}]}, "messages.0.role", "'user'"),
        ("/v1/chat/completions", {"functions": [{}]}, "functions", "is not supported here; leave it out or give null"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content",
            "parts that are not text",
        ),
    ],
)
def test_a_wrong_body_is_a_400_that_names_the_parameter_and_the_rule(client, path, body, param, rule):
    answer = post(client, path, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert rule in error["message"]


def test_a_prompt_without_room_for_an_answer_is_a_400_with_openais_code(client, path):
    long = "the fox " * 20
    body = {"prompt": long} if path == "/v1/completions" else {"messages": [{"role": "user", "content": long}]}
    answer = post(client, path, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", next(iter(body)))
    assert error["message"].startswith("The prompt is too long: it has ")  # by which LiteLLM and LangChain know it
    assert "prompt and answer together may have 40" in error["message"]


def test_an_unknown_model_is_a_404_that_names_the_actual_one(client, path):
    for answer in (post(client, path, model="gpt-4"), client.get("/v1/models/gpt-4")):
        assert answer.status_code == 404
        assert answer.json()["error"] == {
            "message": "There is no model 'gpt-4' here; the one that answers is 'tiny-gpt2'.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }


def test_the_model_is_listed(client):
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"], model["max_model_len"]) == (MODEL, "model", 40)
    assert client.get(f"/v1/models/{MODEL}").json() == model


def test_only_errors_below_v1_have_the_member_error(client):
    assert "error" not in client.post("/generate", json={}).json()
    assert client.get("/v1/nothing").json()["error"]["message"].startswith("There is nothing at /v1/nothing")


def test_a_template_that_refuses_the_messages_is_a_400_with_its_reason(client):
    answer = post(client, "/v1/chat/completions", messages=[{"role": "assistant", "content": "a"}])
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith("refuses the messages: The first turn is the user's.")


def test_a_model_without_a_chat_template_is_a_400_that_names_the_other_route(folders):
    with serving(folders["llama"], max_total_tokens=tiny.CONTEXT) as client:
        answer = post(client, "/v1/chat/completions", model="tiny-llama")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "'tiny-llama' has no chat template. Use /v1/completions."


def test_the_documented_examples_fit_the_schema_and_work(client, path):
    content = client.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        Draft202012Validator(content["schema"]).validate(example["value"])
        assert client.post(path, json=example["value"] | {"model": MODEL, "max_tokens": 2}).status_code == 200


def test_the_whole_answer_the_stream_and_the_errors_are_documented(client, path):
    document = client.get("/openapi.json").json()
    responses = document["paths"][path]["post"]["responses"]
    content = responses["200"]["content"]
    whole = content["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(whole).validate(post(client, path).json())
    event = Draft202012Validator(content["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"])
    for chunk in events(post(client, path, stream=True, stream_options={"include_usage": True})):
        event.validate(chunk)
    assert not event.is_valid({"text": "a"})
    assert {"400", "413", "415", "503", "504"} <= set(responses)
    assert "Retry-After" in responses["503"]["headers"]
