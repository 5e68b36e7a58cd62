"""POST /generate: whole answers, and mistakes in requests."""

import pytest
from jsonschema import Draft202012Validator

from apps.lm.tests.conftest import serving

JSON = {"content-type": "application/json"}


def generate(client, **body):
    return client.post("/generate", json=body)


def test_an_answer_has_text_finish_reason_usage_and_version(client):
    answer = generate(client, prompt="the fox", max_new_tokens=5)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"generated_text", "finish_reason", "usage", "model_version", "timings"}
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
    assert (body["finish_reason"], body["model_version"]) == ("length", "v1")
    assert 0 < body["timings"]["first_token_seconds"] <= body["timings"]["total_seconds"]


def test_without_max_new_tokens_the_answer_is_cut_to_the_budget(client):
    usage = generate(client, prompt="the fox").json()["usage"]
    assert usage == {"prompt_tokens": 2, "completion_tokens": 38, "total_tokens": 40}


def test_max_new_tokens_beyond_the_budget_is_cut(client):
    body = generate(client, prompt="the fox", max_new_tokens=10**9).json()
    assert (body["usage"]["total_tokens"], body["finish_reason"]) == (40, "length")


@pytest.mark.parametrize(("route", "body"), [("/generate", {}), ("/v1/completions", {"model": "tiny-gpt2"})])
def test_only_the_start_of_a_very_long_prompt_is_tokenised(client, route, body):
    """Tokenising all of it takes hundreds of megabytes."""
    answer = client.post(route, json={"prompt": "the fox " * 125_000} | body)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["detail"] == (
        "The prompt is too long: it has more than 80 tokens; prompt and answer together may have 40. "
        "Shorten the prompt to at most 39 tokens."
    )


def test_a_prompt_without_room_for_an_answer_is_a_422_with_both_counts(client):
    answer = generate(client, prompt="the fox" * 20)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [
        {
            "pointer": "#/prompt",
            "detail": "The prompt is too long: it has 40 tokens; prompt and answer together may have 40. "
            "Shorten the prompt to at most 39 tokens.",
        }
    ]


@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"prompt": ""}, "#/prompt", "at least 1 character"),
        ({}, "#/prompt", "required"),
        ({"prompt": None}, "#/prompt", "required"),
        ({"prompt": 5}, "#/prompt", "valid string"),
        ({"prompt": ["a", "b"]}, "#/prompt", "valid string"),
        ({"prompt": "a", "max_new_tokens": 0}, "#/max_new_tokens", "greater than or equal to 1"),
        ({"prompt": "a", "max_new_tokens": -3}, "#/max_new_tokens", "greater than or equal to 1"),
        ({"prompt": "a", "max_new_tokens": 2.5}, "#/max_new_tokens", "valid integer"),
        ({"prompt": "a", "max_new_tokens": "9"}, "#/max_new_tokens", "valid integer"),
        ({"prompt": "a", "max_new_tokens": True}, "#/max_new_tokens", "valid integer"),
        ({"prompt": "a", "max_tokens": 3}, "#/max_tokens", "not known here"),
        ({"prompt": "a", "temperature": -0.1}, "#/temperature", "greater than or equal to 0"),
        ({"prompt": "a", "temperature": 2.1}, "#/temperature", "less than or equal to 2"),
        ({"prompt": "a", "temperature": 0.001}, "#/temperature", "give 0 for the best token, or 0.01 or more"),
        ({"prompt": "a", "temperature": "1"}, "#/temperature", "valid number"),
        ({"prompt": "a", "temperature": 1, "top_p": 0}, "#/top_p", "greater than 0"),
        ({"prompt": "a", "temperature": 1, "top_p": 1.1}, "#/top_p", "less than or equal to 1"),
        ({"prompt": "a", "temperature": 1, "top_k": 0}, "#/top_k", "greater than or equal to 1"),
        ({"prompt": "a", "top_p": 0.5}, "#", "temperature 0 does not sample; set it too"),
        ({"prompt": "a", "top_k": 5}, "#", "temperature 0 does not sample; set it too"),
        ({"prompt": "a", "seed": -(2**63) - 1}, "#/seed", "greater than or equal to"),
        ({"prompt": "a", "seed": 2**63}, "#/seed", "less than"),
    ],
)
def test_a_wrong_body_is_a_422_that_names_the_field_and_the_rule(client, body, pointer, rule):
    answer = generate(client, **body)
    assert answer.status_code == 422
    (mistake,) = answer.json()["errors"]
    assert mistake["pointer"] == pointer
    assert rule in mistake["detail"]


def test_all_mistakes_are_reported_at_once(client):
    errors = generate(client, prompt="", max_new_tokens=0, temperatur=1).json()["errors"]
    assert {mistake["pointer"] for mistake in errors} == {"#/prompt", "#/max_new_tokens", "#/temperatur"}


@pytest.mark.parametrize("text", ["{", "[" * 5000, '"\\ud800"', '{"prompt": "\\ud800"}', "\xff", ""])
def test_a_body_that_is_not_json_is_a_4xx(client, text):
    answer = client.post("/generate", content=text.encode("latin-1"), headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("prompt", ["\0", " ", "\n", "\u200b", "\ufffd", "👩‍👩‍👧", "<|endoftext|>"])
def test_any_text_is_a_prompt(client, prompt):
    assert generate(client, prompt=prompt, max_new_tokens=2).status_code == 200


@pytest.mark.parametrize(
    ("stop", "rule"),
    [(stop, "is not a text or a list of texts, none of them empty.") for stop in ("", [""], 5, ["a", 5])]
    + [(["a"] * 9, "has 9 texts; give up to 8.")],
)
def test_a_wrong_stop_is_a_422_that_names_it(client, stop, rule):
    answer = generate(client, prompt="a", stop=stop)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "#/stop", "detail": rule}]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client, number):
    answer = client.post("/generate", content=f'{{"prompt": "a", "temperature": {number}}}', headers=JSON)
    assert answer.status_code in (400, 422)


def test_a_seed_repeats_a_sampled_answer(client):
    body = {"prompt": "the fox", "max_new_tokens": 20, "temperature": 1, "top_p": 0.95, "top_k": 200, "seed": 3}
    first, again, other = (generate(client, **body | {"seed": seed}).json() for seed in (3, 3, 4))
    assert first["generated_text"] == again["generated_text"] != other["generated_text"]


def test_a_stop_sequence_ends_the_answer(client):
    whole = generate(client, prompt="the fox", max_new_tokens=20).json()["generated_text"]
    body = generate(client, prompt="the fox", max_new_tokens=20, stop=whole[4:6]).json()
    assert (body["generated_text"], body["finish_reason"]) == (whole[: whole.index(whole[4:6])], "stop")


def test_a_stop_sequence_may_be_long(client):
    assert generate(client, prompt="the fox", max_new_tokens=2, stop="x" * 1000).json()["finish_reason"] == "length"


def test_null_counts_as_absent_and_a_whole_number_may_be_written_as_a_fraction(client):
    body = generate(client, prompt="the fox", temperature=None, seed=None, stop=None, stream=None, max_new_tokens=5.0)
    assert body.json()["usage"]["completion_tokens"] == 5
    usage = generate(client, prompt="the fox", max_new_tokens=None).json()["usage"]
    assert usage == {"prompt_tokens": 2, "completion_tokens": 38, "total_tokens": 40}


def test_the_documented_examples_work(client):
    operation = client.get("/openapi.json").json()["paths"]["/generate"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        Draft202012Validator(content["schema"]).validate(example["value"])
        assert generate(client, **example["value"] | {"max_new_tokens": 2}).status_code == 200


def test_the_documented_answer_has_the_keys_and_types_of_a_real_one(client):
    operation = client.get("/openapi.json").json()["paths"]["/generate"]["post"]
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    real = generate(client, prompt="the fox", max_new_tokens=3).json()
    assert {key: type(value) for key, value in example.items()} == {key: type(value) for key, value in real.items()}


def test_health_names_the_model_and_its_limits(client):
    body = client.get("/healthz").json()
    assert body["status"] == "ready"
    assert {"name": "tiny-gpt2", "version": "v1", "max_total_tokens": 40, "dtype": "float32"}.items() <= body[
        "model"
    ].items()


def test_an_answer_beyond_the_deadline_is_a_504(folders):
    with serving(folders["llama"], request_timeout_seconds=0.05, artificial_cpu_sec=0.3) as client:
        assert generate(client, prompt="the fox").status_code == 504
