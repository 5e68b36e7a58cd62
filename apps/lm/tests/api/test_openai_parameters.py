"""What clients send beside the prompt, unasked or sent back from an answer, is accepted where it changes nothing."""

import json
from typing import Any

import pytest
from openai.types import completion_create_params as openai_completion
from openai.types.chat import ChatCompletionMessage, ChatCompletionStreamOptionsParam
from openai.types.chat import completion_create_params as openai_chat

from apps.lm.api.events import event
from apps.lm.engines.protocol import GenerationRequest
from apps.lm.tests import tiny
from apps.lm.tests.api import vllm_parameters as vllm
from apps.lm.tests.api.test_openai import BODIES, events, post
from apps.lm.tests.conftest import runtime_in, serving

QUESTION = {"role": "user", "content": "the fox"}
PARAMETERS: dict[str, tuple[Any, dict[str, Any]]] = {  # of OpenAI's client and of vLLM
    "/v1/completions": (openai_completion.CompletionCreateParamsBase, vllm.COMPLETION),
    "/v1/chat/completions": (openai_chat.CompletionCreateParamsBase, vllm.CHAT),
}


@pytest.fixture(params=BODIES)
def path(request) -> str:
    return request.param


def text(answer) -> str:
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    return choice["text"] if "text" in choice else choice["message"]["content"]


def schema(client, path: str) -> dict[str, Any]:
    operation = client.get("/openapi.json").json()["paths"][path]["post"]
    return operation["requestBody"]["content"]["application/json"]["schema"]


def test_every_parameter_of_openai_and_of_vllm_is_known(client, path):
    openai, vllm_defaults = PARAMETERS[path]
    assert not {*openai.__annotations__, "stream", *vllm_defaults} - set(schema(client, path)["properties"])


def test_every_stream_option_of_openai_and_of_vllm_is_known(client, path):
    options = schema(client, path)["properties"]["stream_options"]["anyOf"][0]["properties"]
    assert not {*ChatCompletionStreamOptionsParam.__annotations__, *vllm.STREAM_OPTIONS} - set(options)


@pytest.mark.parametrize("null", [True, False])
def test_the_defaults_of_all_parameters_change_nothing(client, path, null):
    openai, vllm_defaults = PARAMETERS[path]
    defaults = dict.fromkeys(openai.__annotations__) if null else vllm_defaults | vllm.NEUTRAL
    whole = text(post(client, path, temperature=1.0, seed=1))
    changed = defaults | {"model": "tiny-gpt2", "max_tokens": 5, "seed": 1} | BODIES[path]
    assert text(client.post(path, json=changed)) == whole


def test_null_counts_as_absent_also_in_parameters_that_nobody_knows(client, path):
    assert text(post(client, path, response_formats=None, stop=None)) == text(post(client, path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "neutral",
    [
        {"service_tier": "auto"},
        {"parallel_tool_calls": False},
        {"tool_choice": "auto", "tools": []},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"reasoning_effort": "none", "verbosity": "medium"},
        {"max_tokens": 5.0, "n": 1.0},
        {"top_k": -1},
        {"stream_options": {"include_usage": None}},
    ],
)
def test_values_that_change_nothing_are_accepted(client, neutral):
    assert text(post(client, "/v1/chat/completions", **neutral)) == text(post(client, "/v1/chat/completions"))


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("functions", [{"name": "a"}], "null"),
        ("function_call", {"name": "a"}, '"none" or "auto"'),
        ("modalities", ["text", "audio"], '["text"]'),
        ("chat_template", "{{ messages }}", "null"),
        ("use_beam_search", True, "false"),
    ],
)
def test_a_value_that_would_change_the_answer_is_refused_by_name(client, name, value, remedy):
    error = post(client, "/v1/chat/completions", **{name: value}).json()["error"]
    rule = f"is not supported here; leave it out or give {remedy}."
    assert (error["param"], error["message"]) == (name, f"#/{name}: {rule}")


@pytest.mark.parametrize(
    ("body", "param"), [({"stop": ""}, "stop"), ({"stop": [1]}, "stop"), ({"max_tokens": "a"}, "max_tokens")]
)
def test_the_parameter_of_an_error_is_the_name_of_a_field(client, path, body, param):
    answer = post(client, path, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_models_turn_can_be_sent_back_as_it_came(client):
    message = post(client, "/v1/chat/completions", messages=[QUESTION]).json()["choices"][0]["message"]
    turn = {"role": "assistant", "content": message["content"]}
    plain = text(post(client, "/v1/chat/completions", messages=[QUESTION, turn, QUESTION]))
    everything = dict.fromkeys(ChatCompletionMessage.model_fields) | message
    for fields in (
        message,
        everything,
        turn | {"parsed": {"a": 1}, "refusal": None},
        turn | {"content": [{"type": "text", "text": message["content"]}]},
        turn | {"annotations": [], "tool_calls": [], "audio": None, "function_call": None},
        turn | {"reasoning": None, "reasoning_content": "", "tool_call_id": None, "name": "a"},
    ):
        assert text(post(client, "/v1/chat/completions", messages=[QUESTION, fields, QUESTION])) == plain


def test_the_models_turn_may_be_empty_and_no_other_may(client):
    def answer(**turn):
        return post(client, "/v1/chat/completions", messages=[QUESTION, turn, QUESTION])

    assert text(answer(role="assistant", content=None)) == text(answer(role="assistant", content=""))
    assert answer(role="user", content=None).json()["error"] == {
        "message": "#/messages/1/content: is required.",
        "type": "invalid_request_error",
        "param": "messages.1.content",
        "code": None,
    }
    assert (
        answer(role="assistant", content="a", tool_calls=[{}]).json()["error"]["param"]
        == "messages.1.tool_calls.0.function"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "changing",
    [
        {"repetition_penalty": 1.8},
        {"presence_penalty": 2},
        {"frequency_penalty": 2.0},
        {"logit_bias": {"40": 100}},
        {"temperature": 1.5, "seed": -6},
        {"temperature": 1.5, "seed": -5, "top_k": 0, "top_p": 1},
    ],
)
def test_parameters_of_sampling_change_the_answer_and_repeat_it(client, path, changing):
    first, again = (text(post(client, path, max_tokens=12, **changing)) for _ in range(2))
    assert first == again != text(post(client, path, max_tokens=12))


def test_a_token_that_the_model_does_not_have_is_refused_by_its_number(client, path):
    size = runtime_in(client).model.tokenizer.vocabulary
    assert post(client, path, logit_bias={str(size - 1): 1}).status_code == 200
    error = post(client, path, logit_bias={"5": 1, str(size): 1}).json()["error"]
    assert (error["param"], error["code"]) == ("logit_bias", "invalid_token")
    assert error["message"] == f"#/logit_bias: has the token {size}; 'tiny-gpt2' has 0 to {size - 1}."


@pytest.mark.slow
def test_with_ignore_eos_and_min_tokens_an_answer_is_as_long_as_it_must_be(tmp_path):
    folder = tiny.save("gpt2", tmp_path / "ended_v1")
    with serving(tiny.publish(folder), max_total_tokens=40) as client:
        model = runtime_in(client).model
        prompt = model.tokenize("the fox")
        tokens: list[int] = []
        model.engine.generate(GenerationRequest(prompt, 20), tokens.append, lambda: False)
    tiny.edit_json(folder / "generation_config.json", eos_token_id=tokens[3])
    with serving(tiny.publish(folder), max_total_tokens=40) as client:

        def length(**body) -> int:
            return post(client, "/v1/completions", model="ended", max_tokens=20, **body).json()["usage"][
                "completion_tokens"
            ]

        assert [length(), length(ignore_eos=True)] == [tokens.index(tokens[3]) + 1, 20]
        assert length(min_tokens=9) >= 9
        answer = post(client, "/v1/completions", model="ended", max_tokens=5, min_tokens=6)
    assert answer.json()["error"]["param"] == "min_tokens"


def test_usage_comes_with_every_event_if_requested(client, path):
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = events(post(client, path, stream=True, stream_options=options))
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert 1 <= counts[0] < counts[-1] == 5


def test_an_event_is_one_line_wherever_a_client_divides_lines():
    text = "a\u2028b\u2029c\u0085d\x0b\x0c\x1c\r\ne"
    written = event({"text": text}, "end")
    first, second, blank = written.splitlines()
    assert (first, blank) == ("event: end", "")
    assert json.loads(second.removeprefix("data: ")) == {"text": text}
