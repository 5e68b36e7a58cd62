"""OpenAI's own client, unchanged, with the running service."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from apps.lm.tests import parrot, process, tiny
from apps.lm.tests.api import test_openai_choice as choosing
from apps.lm.tests.api.test_openai_formats import CONTEXT
from apps.lm.tests.api.test_openai_tools import PARAMETERS, SEVERAL
from apps.lm.tests.api.test_responses_tools import TOOLS

pytestmark = pytest.mark.service
TURNS = [{"role": "user", "content": "the fox"}]
OPTIONS = {"model": "tiny-gpt2", "max_tokens": 8, "temperature": 0}


@contextmanager
def connected(openai, folder: Path, context: int):
    with (
        process.serving(model_name=tiny.publish(folder), max_total_tokens=context) as service,
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory, openai):
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1")
    with connected(openai, folder, tiny.CONTEXT) as client:
        yield client


@pytest.fixture(scope="module")
def ending(tmp_path_factory, openai):
    """Of a model that ends its answers, as a call must."""
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1", eos=0, context=CONTEXT)
    with connected(openai, folder, CONTEXT) as client:
        yield client


@pytest.fixture(scope="module")
def chooser(tmp_path_factory, openai):
    """Of a model that calls a function, and says something when it has the result."""
    question, call = choosing.prompt(choosing.CALL), choosing.ADD
    result = f"{question.removesuffix('assistant:')}assistant: {call}\ntool: done\nassistant:"
    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2_v1"
    parrot.save(folder, {question: call, result: " the fox"}, choosing.TEMPLATE, choosing.CONTEXT)
    with connected(openai, folder, choosing.CONTEXT) as client:
        yield client


def test_a_streamed_completion_is_the_same_as_a_whole_one(client):
    whole = client.completions.create(prompt="the fox", **OPTIONS)
    usage = {"include_usage": True}
    *chunks, last = client.completions.create(prompt="the fox", stream=True, stream_options=usage, **OPTIONS)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text != ""
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert last.usage == whole.usage
    assert (whole.usage.completion_tokens, whole.usage.total_tokens) == (8, 8 + whole.usage.prompt_tokens)


def test_a_streamed_chat_is_the_same_as_a_whole_one(client):
    whole = client.chat.completions.create(messages=TURNS, **OPTIONS)
    chunks = list(client.chat.completions.create(messages=TURNS, stream=True, **OPTIONS))
    assert whole.choices[0].message.role == chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content != ""


def test_the_clients_stream_helper_works(client):
    whole = client.chat.completions.create(messages=TURNS, **OPTIONS).choices[0].message.content
    with client.chat.completions.stream(messages=TURNS, stop=whole[4:6], **OPTIONS) as stream:
        gathered = stream.get_final_completion().choices[0]
    assert (gathered.message.content, gathered.finish_reason) == (whole[: whole.index(whole[4:6])], "stop")


def test_models_are_listed_and_an_unknown_one_is_not_found(client, openai):
    assert [model.id for model in client.models.list()] == ["tiny-gpt2"]
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(**OPTIONS | {"model": "gpt-4"}, prompt="the fox")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


def test_mistakes_raise_the_clients_exceptions(client, openai):
    with pytest.raises(openai.BadRequestError) as long:
        client.completions.create(prompt="the fox " * 50, **OPTIONS)
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="is not supported here") as one:
        client.completions.create(prompt="the fox", suffix="a", **OPTIONS)
    assert one.value.param == "suffix"
    with pytest.raises(openai.BadRequestError) as two:
        client.completions.create(prompt="the fox", suffix="a", n=0, **OPTIONS)
    assert "#/suffix: is not supported here" in str(two.value) and "#/n: " in str(two.value)


def test_a_stream_that_is_closed_early_leaves_the_service_free(client):
    stream = client.completions.create(prompt="the fox", stream=True, **OPTIONS)
    next(iter(stream))
    stream.close()
    assert client.completions.create(prompt="the fox", **OPTIONS).usage.completion_tokens == 8


def test_a_call_of_several_tools_is_streamed_and_sent_back_with_its_result(ending):
    options = {"model": "tiny-gpt2", "temperature": 1, "seed": 5, "tools": SEVERAL}
    message = ending.chat.completions.create(messages=TURNS, tool_choice="required", **options).choices[0].message
    (call,) = message.tool_calls
    Draft202012Validator(PARAMETERS[call.function.name]).validate(json.loads(call.function.arguments))
    with ending.chat.completions.stream(messages=TURNS, tool_choice="required", **options) as stream:
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
    assert (streamed.function.name, streamed.function.arguments) == (call.function.name, call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "done"}
    back = [*TURNS, message, result]
    assert ending.chat.completions.create(messages=back, tool_choice="none", max_tokens=5, **options).choices[0]


def test_a_call_by_responses_is_streamed_and_sent_back_with_its_result(ending):
    options = {"model": "tiny-gpt2", "temperature": 1, "tools": TOOLS, "extra_body": {"seed": 5}}
    (call,) = ending.responses.create(input="the fox", tool_choice="required", **options).output
    Draft202012Validator(PARAMETERS[call.name]).validate(json.loads(call.arguments))
    with ending.responses.stream(input="the fox", tool_choice="required", **options) as stream:
        (streamed,) = stream.get_final_response().output
    assert (streamed.type, streamed.name, streamed.arguments) == ("function_call", call.name, call.arguments)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
    back = [*TURNS, streamed, result]
    assert ending.responses.create(input=back, tool_choice="none", max_output_tokens=5, **options).output_text


def test_a_call_that_the_model_chooses_is_streamed_and_its_result_is_answered(chooser):
    options = {"model": "tiny-gpt2", "temperature": 0, "tools": choosing.TOOLS}
    turns = [{"role": "user", "content": choosing.CALL}]
    message = chooser.chat.completions.create(messages=turns, **options).choices[0].message
    with chooser.chat.completions.stream(messages=turns, **options) as stream:
        streamed = stream.get_final_completion().choices[0].message
    for answer in (message, streamed):
        (call,) = answer.tool_calls
        assert (answer.content or "", call.function.name, call.function.arguments) == ("", "add", '{"a": 1}')
        result = {"role": "tool", "tool_call_id": call.id, "content": "done"}
        last = chooser.chat.completions.create(messages=[*turns, answer, result], **options).choices[0]
        assert (last.message.content, last.finish_reason) == (" the fox", "stop")


def test_a_call_that_the_model_chooses_by_responses_is_streamed_and_its_result_is_answered(chooser):
    options = {"model": "tiny-gpt2", "temperature": 0, "tools": choosing.RESPONSE_TOOLS}
    response = chooser.responses.create(input=choosing.CALL, **options)
    with chooser.responses.stream(input=choosing.CALL, **options) as stream:
        streamed = stream.get_final_response()
    for answer in (response, streamed):
        (call,) = answer.output
        assert (call.type, call.name, call.arguments) == ("function_call", "add", '{"a": 1}')
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
        turns = [{"role": "user", "content": choosing.CALL}, *answer.output, result]
        assert chooser.responses.create(input=turns, **options).output_text == " the fox"
