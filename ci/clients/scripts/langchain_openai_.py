import checks
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel, Field

OPTIONS = {"base_url": checks.URL, "api_key": "none", "model": checks.MODEL, "temperature": 0, "max_retries": 0}


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


def check_chats():
    model, turn = ChatOpenAI(max_tokens=8, **OPTIONS), HumanMessage(checks.QUESTION)
    answer = model.invoke([turn])
    assert answer.content
    assert model.invoke([turn, answer, turn]).content
    assert len(model.batch([[turn]] * 4)) == 4


def check_streams_of_chats():
    pieces = list(ChatOpenAI(max_tokens=8, stream_usage=True, **OPTIONS).stream(checks.QUESTION))
    assert "".join(piece.content for piece in pieces)
    assert any(piece.usage_metadata for piece in pieces)


def check_structured_output():
    for method in ("json_schema", "function_calling"):
        model = ChatOpenAI(**OPTIONS).with_structured_output(Person, method=method)
        assert isinstance(model.invoke("Invent a person."), Person)


def check_tools_that_the_model_may_call():
    for by_responses in (False, True):
        model = ChatOpenAI(max_tokens=16, use_responses_api=by_responses, **OPTIONS).bind_tools([Person])
        answer = model.invoke("Invent a person.")
        assert answer.content or answer.tool_calls, answer
        assert any(piece.content or piece.tool_calls for piece in model.stream("Invent a person."))


def check_chats_by_responses():
    assert ChatOpenAI(max_tokens=16, use_responses_api=True, **OPTIONS).invoke(checks.QUESTION).content


def check_batches_of_completions():
    model = OpenAI(max_tokens=8, **OPTIONS)
    assert len(model.batch([f"{number} herons" for number in range(20)])) == 20
    assert model.generate(["a heron", "an owl"]).llm_output["token_usage"]["completion_tokens"] == 16
    assert "".join(model.stream("a heron"))


def check_an_overflow_of_the_context():
    try:
        ChatOpenAI(**OPTIONS).invoke(checks.LONG)
    except ContextOverflowError:
        return
    raise AssertionError("no error")


checks.run(globals())
