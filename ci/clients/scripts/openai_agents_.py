import asyncio

import checks
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

MODELS = (OpenAIChatCompletionsModel, OpenAIResponsesModel)

set_tracing_disabled(True)  # which asks OpenAI's own service


class Person(BaseModel):
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


@function_tool
def add(name: str) -> str:
    """Add a person."""
    return f"{name} was added"


def make(model, **options):
    client = AsyncOpenAI(base_url=checks.URL, api_key="none", max_retries=0)
    settings, ours = ModelSettings(temperature=0), model(checks.MODEL, client)
    # A schema, since a response that is cut is an error to this client, and small models seldom end a text.
    return Agent(
        name="ours", instructions="Be brief.", model=ours, model_settings=settings, output_type=Person, **options
    )


def check_agents_by_chats_and_by_responses():
    for model in MODELS:
        assert asyncio.run(Runner.run(make(model), checks.QUESTION)).final_output.name


def check_agents_with_tools():
    for model in MODELS:
        assert asyncio.run(Runner.run(make(model, tools=[add]), checks.QUESTION)).final_output.name


async def stream(model):
    result = Runner.run_streamed(make(model, tools=[add]), checks.QUESTION)
    events = [event.type async for event in result.stream_events()]
    assert "raw_response_event" in events and result.final_output.name


def check_streams_of_agents_with_tools():
    for model in MODELS:
        asyncio.run(stream(model))


checks.run(globals())
