"""Log-probabilities are those of transformers, of the prompt and of the answer, whatever else is computed."""

import json
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from transformers import AutoModelForCausalLM

from apps.lm.tests import tiny
from apps.lm.tests.api.test_openai import events, post
from apps.lm.tests.conftest import runtime_in, serving

LONG = "the quick brown fox jumps over"


@pytest.fixture(scope="module", params=sorted(tiny.FAMILIES))
def client(request, folders):
    with serving(folders[request.param], max_total_tokens=tiny.CONTEXT) as client:
        yield client


@pytest.fixture
def model(client) -> str:
    return runtime_in(client).model.identity.name


@pytest.fixture
def reference(client, folders):
    """Return transformers' log-probabilities along tokens, of shape (tokens, vocabulary), each before its token."""
    family = runtime_in(client).model.identity.name.removeprefix("tiny-")
    weights: Any = AutoModelForCausalLM.from_pretrained(folders[family])

    def reference(tokens: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return weights(torch.tensor([tokens])).logits[0, :-1].log_softmax(-1)

    return reference


def complete(client, model: str, **body) -> dict[str, Any]:
    answer = post(client, "/v1/completions", model=model, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def test_echo_with_logprobs_has_those_of_prompt_and_answer(client, model, reference):
    tokenizer = runtime_in(client).model.tokenizer
    prompt = tokenizer.encode(LONG)
    choice = complete(client, model, prompt=prompt, echo=True, logprobs=3, max_tokens=4, return_token_ids=False)
    logprobs = choice["logprobs"]
    alone = complete(client, model, prompt=prompt, max_tokens=4)["text"]
    assert choice["text"] == tokenizer.decode(prompt) + alone
    assert len(logprobs["tokens"]) == len(prompt) + 4
    assert (logprobs["token_logprobs"][0], logprobs["top_logprobs"][0]) == (None, None)
    greedy = [max(top, key=top.__getitem__) for top in logprobs["top_logprobs"][len(prompt) :]]
    assert logprobs["tokens"][len(prompt) :] == greedy
    scores = reference(prompt)
    expected = scores[torch.arange(len(prompt) - 1), torch.tensor(prompt[1:])]
    assert torch.allclose(torch.tensor(logprobs["token_logprobs"][1 : len(prompt)]), expected, atol=1e-4)
    for top, row, token in zip(logprobs["top_logprobs"][1:], scores, prompt[1:], strict=False):
        likeliest = sorted({*row.topk(3).values.tolist(), float(row[token])})
        assert torch.allclose(torch.tensor(sorted(top.values())), torch.tensor(likeliest), atol=1e-4)


def test_the_prompt_alone_can_be_scored(client, model):
    prompt = runtime_in(client).model.tokenizer.encode(LONG)
    scored = complete(client, model, prompt=prompt, echo=True, logprobs=0, max_tokens=0)
    longer = complete(client, model, prompt=prompt, echo=True, logprobs=0, max_tokens=2)
    assert len(scored["logprobs"]["tokens"]) == len(prompt)
    assert scored["logprobs"]["token_logprobs"] == longer["logprobs"]["token_logprobs"][: len(prompt)]
    assert longer["text"].startswith(scored["text"])
    usage = post(client, "/v1/completions", model=model, prompt=prompt, echo=True, max_tokens=0).json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(prompt), 0)


def test_offsets_say_where_in_the_text_each_token_begins(client, model):
    choice = complete(client, model, prompt="once 😀 the fox", echo=True, logprobs=0, max_tokens=5)
    offsets, tokens, text = choice["logprobs"]["text_offset"], choice["logprobs"]["tokens"], choice["text"]
    assert offsets == sorted(offsets)
    if model == "tiny-gpt2":  # the other tokenizer removes the first space of a text
        parts = [(token, offset) for token, offset in zip(tokens, offsets, strict=True) if token.isascii()]
        readable = [(token, offset) for token, offset in parts if not token.startswith("bytes:")]
        assert readable
        assert all(text[offset:].startswith(token) for token, offset in readable)
        assert [token for token in tokens if token.startswith("bytes:")][:1] == ["bytes:\\xf0"]


def test_sampling_does_not_change_the_probabilities_that_are_reported(client, model):
    biased = {"logit_bias": {"5": 50.0}, "temperature": 1.5, "seed": 1, "presence_penalty": 1.0}
    prompt = runtime_in(client).model.tokenizer.encode("the fox")
    first = complete(client, model, prompt=prompt, logprobs=1, max_tokens=1, **biased)["logprobs"]
    plain = complete(client, model, prompt=prompt, logprobs=1, max_tokens=1)["logprobs"]
    assert first["token_logprobs"] != plain["token_logprobs"]
    (top,) = plain["top_logprobs"]
    assert top.items() <= first["top_logprobs"][0].items()


def test_a_chats_logprobs_name_tokens_with_their_bytes(folders):
    with serving(folders["gpt2"], max_total_tokens=tiny.CONTEXT) as client:
        body = {"logprobs": True, "top_logprobs": 2, "max_tokens": 6}
        whole = post(client, "/v1/chat/completions", **body).json()["choices"][0]
        chunks = events(post(client, "/v1/chat/completions", stream=True, **body))
        plain = post(client, "/v1/chat/completions", max_tokens=6).json()["choices"][0]
    content = whole["logprobs"]["content"]
    assert (len(content), whole["message"], plain["logprobs"]) == (6, plain["message"], None)
    written = b"".join(bytes(entry["bytes"]) for entry in content).decode(errors="replace")
    assert written.rstrip("\ufffd") == whole["message"]["content"].rstrip("\ufffd") != ""
    assert all(entry["top_logprobs"][0].items() >= {"logprob": entry["logprob"]}.items() for entry in content)
    assert [len(entry["top_logprobs"]) for entry in content] == [2] * 6
    streamed = [entry for chunk in chunks for entry in chunk["choices"][0]["logprobs"]["content"]]
    assert json.dumps(streamed) == json.dumps(content)


def test_a_streams_logprobs_are_those_of_the_whole_answer(client, model):
    body = {"logprobs": 2, "echo": True, "max_tokens": 6, "prompt": LONG}
    whole = complete(client, model, **body)
    chunks = [
        chunk["choices"][0] for chunk in events(post(client, "/v1/completions", model=model, stream=True, **body))
    ]
    assert "".join(chunk["text"] for chunk in chunks) == whole["text"]
    for name, values in whole["logprobs"].items():
        assert [value for chunk in chunks for value in chunk["logprobs"][name]] == values


@pytest.mark.slow
def test_logprobs_fit_the_documented_answer(folders):
    with serving(folders["gpt2"]) as client:
        document = client.get("/openapi.json").json()
        bodies: dict[str, dict[str, Any]] = {
            "/v1/completions": {"logprobs": 2, "echo": True},
            "/v1/chat/completions": {"logprobs": True},
        }
        for path, body in bodies.items():
            content = document["paths"][path]["post"]["responses"]["200"]["content"]
            whole = content["application/json"]["schema"] | {"components": document["components"]}
            Draft202012Validator(whole).validate(post(client, path, **body).json())
            data = content["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
            for chunk in events(post(client, path, stream=True, **body)):
                Draft202012Validator(data).validate(chunk)
