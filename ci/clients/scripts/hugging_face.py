import json

import checks
from huggingface_hub import InferenceClient

client = InferenceClient(base_url=checks.URL, api_key="none")
TURN = {"role": "user", "content": checks.QUESTION}


def check_chats():
    message = client.chat_completion([TURN], model=checks.MODEL, max_tokens=8, temperature=0.0).choices[0].message
    assert message.content
    again = [TURN, {"role": message.role, "content": message.content, "tool_calls": message.tool_calls}, TURN]
    assert client.chat_completion(again, model=checks.MODEL, max_tokens=8).choices[0].message.content


def check_streams_of_chats():
    chunks = client.chat_completion([TURN], model=checks.MODEL, max_tokens=8, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def check_schemas():
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": checks.PERSON, "strict": True}}
    answer = client.chat_completion([TURN], model=checks.MODEL, max_tokens=150, response_format=form)
    checks.require_person(json.loads(answer.choices[0].message.content))


def check_tools_that_the_model_may_call():
    answer = client.chat_completion([TURN], model=checks.MODEL, max_tokens=8, tools=[checks.TOOL]).choices[0].message
    assert answer.content or answer.tool_calls


def check_log_probabilities():
    answer = client.chat_completion([TURN], model=checks.MODEL, max_tokens=4, logprobs=True, top_logprobs=2)
    assert len(answer.choices[0].logprobs.content) == 4


checks.run(globals())
