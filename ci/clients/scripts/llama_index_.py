import asyncio

import checks
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

OPTIONS = {"model": checks.MODEL, "api_base": checks.URL, "api_key": "none", "max_tokens": 8, "temperature": 0}
OPTIONS |= {"context_window": 256, "max_retries": 0}
TURN = ChatMessage(role="user", content=checks.QUESTION)


def check_chats():
    model = OpenAILike(is_chat_model=True, **OPTIONS)
    answer = model.chat([TURN]).message
    assert answer.content
    assert model.chat([TURN, answer, TURN]).message.content
    assert asyncio.run(model.achat([TURN])).message.content


def check_streams_of_chats():
    assert list(OpenAILike(is_chat_model=True, **OPTIONS).stream_chat([TURN]))[-1].message.content


def check_tools_that_the_model_may_call():
    model = OpenAILike(is_chat_model=True, is_function_calling_model=True, **OPTIONS)
    tool = FunctionTool.from_defaults(lambda name: name, name="add", description="Add a person.")
    answer = model.chat_with_tools([tool], chat_history=[TURN])
    assert answer.message.content or model.get_tool_calls_from_response(answer)


def check_completions():
    model = OpenAILike(is_chat_model=False, **OPTIONS)
    assert model.complete("a heron").text
    assert list(model.stream_complete("a heron"))[-1].text


checks.run(globals())
