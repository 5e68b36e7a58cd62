import json

import checks
import openai
from pydantic import BaseModel, Field

client = openai.OpenAI(base_url=checks.URL, api_key="none", max_retries=0)
OPTIONS = {"model": checks.MODEL, "temperature": 0}
TURN = {"role": "user", "content": checks.QUESTION}


class Person(BaseModel):
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


def check_chats():
    messages = [TURN]
    for _ in range(3):
        message = (
            client.chat.completions.create(messages=messages, max_completion_tokens=8, **OPTIONS).choices[0].message
        )
        assert message.content
        messages += [message, TURN]  # the object that the client returned


def check_streams_of_chats():
    chunks = client.chat.completions.create(messages=[TURN], max_tokens=8, stream=True, **OPTIONS)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    stop = text[2:4]  # the helper takes an answer that is cut for an error
    with client.chat.completions.stream(messages=[TURN], stop=stop, **OPTIONS) as stream:
        content = stream.get_final_completion().choices[0].message.content
    assert content == text[: text.index(stop)] and stop, (content, text)


def check_parsed_chats():
    completion = client.chat.completions.parse(messages=[TURN], response_format=Person, **OPTIONS)
    message = completion.choices[0].message
    assert isinstance(message.parsed, Person)
    again = [TURN, message, TURN]
    assert client.chat.completions.parse(messages=again, response_format=Person, **OPTIONS).choices[0].message.parsed


def check_a_demanded_call_and_its_result():
    tool = {"type": "function", "function": {"name": "add", "parameters": checks.PERSON, "strict": True}}
    choice = {"type": "function", "function": {"name": "add"}}
    message = (
        client.chat.completions.parse(messages=[TURN], tools=[tool], tool_choice=choice, **OPTIONS).choices[0].message
    )
    (call,) = message.tool_calls
    checks.require_person(call.function.parsed_arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "added"}
    messages = [TURN, message, result]
    assert client.chat.completions.create(messages=messages, tools=[tool], tool_choice="none", **OPTIONS).choices[0]
    with client.chat.completions.stream(messages=[TURN], tools=[tool], tool_choice=choice, **OPTIONS) as stream:
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
    assert streamed.function.arguments == call.function.arguments


def check_a_call_of_several_tools():
    now = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
    add = {"type": "function", "function": {"name": "add", "parameters": checks.PERSON}}
    options = OPTIONS | {"messages": [TURN], "tools": [now, add], "tool_choice": "required"}
    (call,) = client.chat.completions.create(**options).choices[0].message.tool_calls
    assert call.function.name in ("now", "add") and isinstance(json.loads(call.function.arguments), dict)
    with client.chat.completions.stream(**options) as stream:
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls
    assert (streamed.function.name, streamed.function.arguments) == (call.function.name, call.function.arguments)


def check_tools_that_the_model_may_call():
    options = OPTIONS | {"messages": [TURN], "tools": [checks.TOOL], "max_tokens": 8}
    message = client.chat.completions.create(**options).choices[0].message
    assert message.content or message.tool_calls
    deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(stream=True, **options)]
    assert "".join(delta.content or "" for delta in deltas) == (message.content or "")
    options = OPTIONS | {
        "input": [TURN],
        "max_output_tokens": 8,
        "tools": [{"type": "function", **checks.TOOL["function"]}],
    }
    output = client.responses.create(**options).output
    *_, last = client.responses.create(stream=True, **options)
    assert [item.type for item in last.response.output] == [item.type for item in output]


def check_json_objects():
    answer = client.chat.completions.create(
        messages=[TURN], response_format={"type": "json_object"}, max_tokens=60, **OPTIONS
    ).choices[0]
    assert answer.finish_reason == "length" or isinstance(json.loads(answer.message.content), dict)


def check_log_probabilities():
    choice = client.chat.completions.create(messages=[TURN], logprobs=True, top_logprobs=3, max_tokens=4, **OPTIONS)
    assert len(choice.choices[0].logprobs.content[0].top_logprobs) == 3
    scored = client.completions.create(prompt="a heron", echo=True, logprobs=1, max_tokens=1, **OPTIONS).choices[0]
    assert scored.logprobs.token_logprobs[0] is None


def check_completions_of_several_prompts():
    prompts = ["a heron", "an owl"]
    choices = client.completions.create(prompt=prompts, n=2, max_tokens=4, **OPTIONS).choices
    assert [choice.index for choice in choices] == [0, 1, 2, 3]


def check_responses():
    first = client.responses.create(instructions="Be brief.", input=checks.QUESTION, max_output_tokens=8, **OPTIONS)
    assert first.output_text
    again = [TURN, *first.output, TURN]
    assert client.responses.create(input=again, max_output_tokens=8, **OPTIONS).output_text


def check_streams_of_responses():
    with client.responses.stream(input="Invent a person.", text_format=Person, **OPTIONS) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        response = stream.get_final_response()
    assert response.output_text == text != ""
    assert isinstance(response.output_parsed, Person)
    events = list(client.responses.create(input=checks.QUESTION, max_output_tokens=8, stream=True, **OPTIONS))
    assert events[-1].type == "response.incomplete"


def check_parsed_responses():
    assert isinstance(
        client.responses.parse(input="Invent a person.", text_format=Person, **OPTIONS).output_parsed, Person
    )


def check_a_demanded_call_by_responses_and_its_result():
    tool = {"type": "function", "name": "add", "parameters": checks.PERSON, "strict": True}
    options = OPTIONS | {"input": [TURN], "tools": [tool], "tool_choice": {"type": "function", "name": "add"}}
    (call,) = client.responses.create(**options).output
    checks.require_person(json.loads(call.arguments))
    with client.responses.stream(**options) as stream:
        (streamed,) = stream.get_final_response().output
    assert (streamed.name, streamed.arguments) == ("add", call.arguments)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "added"}
    back = {"input": [TURN, streamed, result], "tool_choice": "none", "max_output_tokens": 8}
    assert client.responses.create(**options | back).output_text


def check_an_overflow_of_the_context():
    try:
        client.chat.completions.create(messages=[{"role": "user", "content": checks.LONG}], **OPTIONS)
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded" and error.param == "messages"
    else:
        raise AssertionError("no error")


def check_models():
    assert client.models.retrieve(checks.MODEL).id == next(iter(client.models.list())).id == checks.MODEL


def check_refused_embeddings():
    try:
        client.embeddings.create(model=checks.MODEL, input="a")
    except openai.BadRequestError as error:
        assert "makes no embeddings" in str(error)
    else:
        raise AssertionError("no error")


checks.run(globals())
