import json

import checks
import litellm
from litellm import Router

SERVICE = {"model": f"openai/{checks.MODEL}", "api_base": checks.URL, "api_key": "none"}
OPTIONS = SERVICE | {"max_tokens": 8, "num_retries": 0}
TURN = {"role": "user", "content": checks.QUESTION}
OVERFLOW = [{"role": "user", "content": checks.LONG}]


def check_chats():
    message = litellm.completion(messages=[TURN], **OPTIONS).choices[0].message
    assert message.content
    assert litellm.completion(messages=[TURN, message, TURN], **OPTIONS).choices[0].message.content
    assert litellm.completion(messages=[TURN, message.model_dump(), TURN], **OPTIONS).choices[0].message.content


def check_streams_of_chats():
    chunks = litellm.completion(messages=[TURN], stream=True, stream_options={"include_usage": True}, **OPTIONS)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def check_completions():
    options = OPTIONS | {"model": f"text-completion-openai/{checks.MODEL}"}
    assert litellm.text_completion(prompt=["a heron", "an owl"], **options).choices[1].text


def check_schemas():
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": checks.PERSON, "strict": True}}
    options = OPTIONS | {"max_tokens": 80}
    answer = litellm.completion(messages=[TURN], response_format=form, **options)
    checks.require_person(json.loads(answer.choices[0].message.content))


def check_tools_that_the_model_may_call():
    message = litellm.completion(messages=[TURN], tools=[checks.TOOL], **OPTIONS).choices[0].message
    assert message.content or message.tool_calls


def check_responses():
    assert litellm.responses(input=checks.QUESTION, max_output_tokens=16, **SERVICE).output


def check_an_overflow_of_the_context():
    try:
        litellm.completion(messages=OVERFLOW, **OPTIONS)
    except litellm.ContextWindowExceededError:
        return
    raise AssertionError("no error")


def check_fallbacks_for_an_overflow_of_the_context():
    small = {"model_name": "small", "litellm_params": {**OPTIONS}}
    large = {"model_name": "large", "litellm_params": {"model": "openai/large", "mock_response": "from the large one"}}
    router = Router([small, large], context_window_fallbacks=[{"small": ["large"]}], num_retries=0)
    assert router.completion("small", [TURN]).choices[0].message.content
    assert router.completion("small", OVERFLOW).choices[0].message.content == "from the large one"


checks.run(globals())
