"""The response of /v1/responses in the OpenAPI document, whole and as events of a stream."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from apps.lm.api.openai.documents import TokenLogprob, documented_responses

Status = Literal["in_progress", "completed", "incomplete"]


class Text(BaseModel):
    """The text of the model's turn."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[TokenLogprob]


class Message(BaseModel):
    """The model's turn."""

    id: str
    type: Literal["message"]
    status: Status
    role: Literal["assistant"]
    content: list[Text]


class Call(BaseModel):
    """The call of a function."""

    id: str
    type: Literal["function_call"]
    status: Status
    call_id: str
    name: str
    arguments: str


class Incomplete(BaseModel):
    """Why an answer ended before the model ended it."""

    reason: Literal["max_output_tokens"]


class Usage(BaseModel):
    """Counts of tokens."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class Response(BaseModel):
    """The answer, with the parameters that made it."""

    model_config = ConfigDict(extra="forbid")

    id: str
    object: Literal["response"]
    created_at: int
    status: Status
    error: None
    incomplete_details: Incomplete | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, Any]
    model: str
    output: list[Message | Call]
    parallel_tool_calls: bool
    previous_response_id: None
    store: Literal[False]
    temperature: float
    text: dict[str, Any]
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float
    truncation: Literal["disabled"]
    usage: Usage | None


class Event(BaseModel):
    """Of a stream. The member `type` says what else it has; it is also the event's name."""

    model_config = ConfigDict(extra="allow")

    type: str
    sequence_number: int


EXAMPLE = (
    'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "sequence_number": 4, '
    '"delta": "Heron", "logprobs": [], "item_id": "msg_1", "output_index": 0, "content_index": 0}\n'
)
RESPONSES = documented_responses(Response, EXAMPLE, Event)
