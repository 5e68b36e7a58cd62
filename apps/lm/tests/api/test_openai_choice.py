"""With tool_choice auto, an answer is a text or calls, as the model chooses and in its own form."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from apps.lm.tests import parrot, tiny
from apps.lm.tests.api.test_openai import events
from apps.lm.tests.api.test_openai_formats import HELD
from apps.lm.tests.api.test_responses import events as response_events
from apps.lm.tests.conftest import runtime_in, serving

pytestmark = pytest.mark.slow
CONTEXT = 700
TEMPLATE = (
    "{% if tools %}tools:{% for tool in tools %} {{ tool.function.name }}{% endfor %}{{ '\n' }}{% endif %}"
    "{% for message in messages %}{{ message.role }}: {{ message.content }}"
    "{% for call in message.tool_calls or [] %}{% if message.content or not loop.first %}{{ '\n' }}{% endif %}"
    '<tool_call>{{ "\n" }}{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "{{ '\n' }}</tool_call>{% endfor %}{{ '\n' }}{% endfor %}assistant:"
)
CHATS, RESPONSES = "/v1/chat/completions", "/v1/responses"
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "add", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "now"}},
]
RESPONSE_TOOLS = [{"type": "function", **tool["function"]} for tool in TOOLS]
ADD = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
NOW = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
ANSWERS = {
    "a": "the fox",
    "a" * 50: ADD,
    "a" * 150: f" I add.\n{ADD}\n{NOW}",
    "a" * 300: NOW.replace("now", "close"),
    "a" * 400: ADD[:-25],
    "a" * 450: "",
}
TEXT, CALL, BOTH, UNKNOWN, BROKEN, EMPTY = ANSWERS


def prompt(question: str) -> str:
    return f"tools: add now\nuser: {question}\nassistant:"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2_v1"
    answers = {prompt(question): answer for question, answer in ANSWERS.items()}
    with serving(tiny.publish(parrot.save(folder, answers, TEMPLATE, CONTEXT)), max_total_tokens=CONTEXT) as client:
        yield client


def post(client, question: str, **body):
    turns = [{"role": "user", "content": question}]
    return client.post(CHATS, json={"model": "tiny-gpt2", "temperature": 0, "messages": turns, "tools": TOOLS} | body)


def post_response(client, question: str, **body):
    body = {"model": "tiny-gpt2", "temperature": 0, "input": question, "tools": RESPONSE_TOOLS} | body
    return client.post(RESPONSES, json=body)


def choice(client, question: str, **body) -> dict[str, Any]:
    answer = post(client, question, **body)
    assert answer.status_code == 200, answer.text
    ChatCompletion.model_validate(answer.json())
    return answer.json()["choices"][0]


def called(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]


@pytest.mark.parametrize(
    ("question", "content", "calls", "finish_reason"),
    [
        (TEXT, "the fox", [], "stop"),
        (CALL, None, [("add", '{"a": 1}')], "tool_calls"),
        (BOTH, " I add.", [("add", '{"a": 1}'), ("now", "{}")], "tool_calls"),
        (UNKNOWN, ANSWERS[UNKNOWN], [], "stop"),
        (BROKEN, ANSWERS[BROKEN], [], "stop"),
        (EMPTY, "", [], "stop"),
    ],
    ids=["text", "call", "both", "unknown", "broken", "empty"],
)
def test_a_chat_has_text_or_calls_whole_and_streamed(client, question, content, calls, finish_reason):
    whole = choice(client, question)
    assert (whole["message"]["content"], called(whole["message"])) == (content, calls)
    assert whole["finish_reason"] == finish_reason
    chunks = events(post(client, question, stream=True, tool_choice="auto"))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == (content or "")
    streamed = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in streamed] == calls
    assert [(call["index"], call["id"][:5]) for call in streamed] == [(index, "call_") for index in range(len(calls))]
    assert (deltas[0]["role"], chunks[-1]["choices"][0]["finish_reason"]) == ("assistant", finish_reason)


@pytest.mark.parametrize("question", [TEXT, CALL, BOTH, EMPTY], ids=["text", "call", "both", "empty"])
def test_a_response_has_the_same_text_and_calls_whole_and_streamed(client, question):
    message = choice(client, question)["message"]
    response = Response.model_validate(post_response(client, question).json())
    assert response.output_text == (message["content"] or "")
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == called(message)
    assert [item.type for item in response.output] == ["message"] * (message["content"] is not None) + [
        "function_call"
    ] * len(calls)
    assert {item.status for item in response.output} == {"completed"}  # type: ignore[union-attr]  # all have one
    assert (response.tool_choice, response.parallel_tool_calls, response.status) == ("auto", True, "completed")
    streamed = response_events(post_response(client, question, stream=True))
    for event in streamed:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))
    items = {event["output_index"]: event["item"] for event in streamed if event["type"].endswith("item.done")}
    assert [items[index] for index in sorted(items)] == streamed[-1]["response"]["output"]
    assert [item["type"] for item in items.values()] == [item.type for item in response.output]
    assert len({item["id"] for item in items.values()}) == len(items)
    for index, item in items.items():
        deltas = [event["delta"] for event in streamed if "delta" in event and event["output_index"] == index]
        whole = item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
        assert "".join(deltas) == whole


def test_a_cut_answer_has_the_calls_that_are_complete(client):
    tokens = len(runtime_in(client).model.tokenizer.encode(f" I add.\n{ADD}\n<tool"))
    cut = choice(client, BOTH, max_tokens=tokens)
    assert called(cut["message"]) == [("add", '{"a": 1}')]
    assert (cut["message"]["content"], cut["finish_reason"]) == (" I add.<tool", "length")
    response = Response.model_validate(post_response(client, BOTH, max_output_tokens=tokens).json())
    assert [item.type for item in response.output] == ["message", "function_call", "message"]
    assert [item.status for item in response.output] == ["completed", "completed", "incomplete"]  # type: ignore[union-attr]  # all have one


def test_without_parallel_calls_only_the_first_one_counts(client):
    assert called(choice(client, BOTH, parallel_tool_calls=False)["message"]) == [("add", '{"a": 1}')]
    response = Response.model_validate(post_response(client, BOTH, parallel_tool_calls=False).json())
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert response.parallel_tool_calls is False


def test_calls_are_sent_back_to_the_template_as_it_writes_them(client):
    whole = choice(client, BOTH)
    first, second = whole["message"]["tool_calls"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in (first, second)]
    written = prompt(BOTH) + f"  I add.\n{ADD}\n{NOW}\ntool: done\ntool: done\nassistant:"
    expected = len(runtime_in(client).model.tokenize(written))
    turns = [{"role": "user", "content": BOTH}, whole["message"], *results]
    assert post(client, "", messages=turns, max_tokens=1).json()["usage"]["prompt_tokens"] == expected
    items = post_response(client, BOTH).json()["output"]
    outputs = [{"type": "function_call_output", "call_id": item["call_id"], "output": "done"} for item in items[1:]]
    again = [{"role": "user", "content": BOTH}, *items, *outputs]
    usage = post_response(client, "", input=again, max_output_tokens=1).json()["usage"]
    assert usage["input_tokens"] == expected


def test_the_model_sees_no_tools_that_it_may_not_call(client):
    seen = post(client, TEXT, max_tokens=1).json()["usage"]["prompt_tokens"]
    assert seen == len(runtime_in(client).model.tokenize(prompt(TEXT)))
    assert post(client, TEXT, max_tokens=1, tool_choice="none").json()["usage"]["prompt_tokens"] < seen


def test_a_schema_that_leaves_no_choice_is_a_400_that_says_so(client):
    error = post(client, TEXT, response_format=HELD).json()["error"]
    assert error["param"] == "response_format" and "would keep the model from calling any of tools" in error["message"]
    error = post_response(client, TEXT, text={"format": {"type": "json_object"}}).json()["error"]
    assert error["param"] == "text" and "would keep the model from calling any of tools" in error["message"]


def test_log_probabilities_are_those_of_all_tokens(client):
    body = {"logprobs": True, "top_logprobs": 0}
    whole = choice(client, BOTH, **body)["logprobs"]["content"]
    chunks = events(post(client, BOTH, stream=True, **body))
    assert [entry for chunk in chunks for entry in chunk["choices"][0]["logprobs"]["content"]] == whole
    assert "".join(entry["token"] for entry in whole).startswith(ANSWERS[BOTH])


def test_calls_fit_the_documented_answers(client):
    document = client.get("/openapi.json").json()
    for path, send, read in ((CHATS, post, events), (RESPONSES, post_response, response_events)):
        content = document["paths"][path]["post"]["responses"]["200"]["content"]
        whole = content["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(whole).validate(send(client, BOTH).json())
        data = content["text/event-stream"]["itemSchema"]["properties"]["data"]["contentSchema"]
        for event in read(send(client, BOTH, stream=True)):
            Draft202012Validator(data).validate(event)


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """A model whose template shows no tools."""
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1", eos=0)
    with serving(tiny.publish(folder), max_total_tokens=tiny.CONTEXT) as client:
        yield client


def test_a_model_that_does_not_see_the_tools_answers_in_text(silent):
    body: dict[str, Any] = {"max_tokens": 5}
    plain = choice(silent, "the fox", tools=[], **body)
    assert "tool_support" not in vars(runtime_in(silent).model.chat_template), "asked without tools, in the event loop"
    assert choice(silent, "the fox", **body) == plain
    assert choice(silent, "the fox", tool_choice="auto", **body) == plain
    streamed = events(post(silent, "the fox", stream=True, **body))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in streamed) == plain["message"]["content"]
    response = Response.model_validate(post_response(silent, "the fox", max_output_tokens=5).json())
    assert (response.output_text, response.tool_choice) == (plain["message"]["content"], "auto")
    held = choice(silent, "the fox", response_format={"type": "json_object"}, **body)
    assert held["message"]["content"].startswith("{"), json.dumps(held)
