"""The responses of /v1 in the OpenAPI document, whole and as events of a stream."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.lm.api.schemas import Usage, event_stream
from apps.serving.problems import COMPUTED, documented


class CompletionLogprobs(BaseModel):
    """Of each token; of the first one of a prompt there is none."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class Logprob(BaseModel):
    """Of one token of a chat."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(Logprob):
    """The same, beside the likeliest tokens in its place."""

    top_logprobs: list[Logprob]


class ChatLogprobs(BaseModel):
    """Of each token."""

    content: list[TokenLogprob]
    refusal: None


class Choice(BaseModel):
    """One answer; `finish_reason` is null until the last piece of its stream.

    `stop_reason` is only in an answer that ended with what it had at the deadline.
    """

    model_config = ConfigDict(extra="forbid")

    index: Annotated[int, Field(ge=0)]
    finish_reason: Literal["stop", "length", "tool_calls"] | None
    stop_reason: Literal["deadline"] | None = None


class Text(Choice):
    """Of a completion, whole or a piece."""

    text: str
    logprobs: CompletionLogprobs | None


class Function(BaseModel):
    """A function that is called, with its arguments as JSON, whole or a piece; a later piece has no name."""

    name: str | None = None
    arguments: str


class Call(BaseModel):
    """A function's call; a later piece has neither id nor type."""

    id: str | None = None
    type: Literal["function"] | None = None
    index: int | None = None
    function: Function


class Message(BaseModel):
    """The model's turn. It has no content if it is a call."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[Call] | None = None


class Turn(Choice):
    """Of a chat."""

    message: Message
    logprobs: ChatLogprobs | None


class Delta(BaseModel):
    """A piece of the model's turn."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[Call] | None = None


class Piece(Choice):
    """Of a chat's stream."""

    delta: Delta
    logprobs: ChatLogprobs | None


class Document(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(extra="forbid")

    id: str
    created: int
    model: str


class Completion(Document):
    """A completion; in a stream with usage, the last event has it and no choices."""

    object: Literal["text_completion"]
    choices: list[Text]
    usage: Usage | None = None


class Chat(Document):
    """A chat's whole answer."""

    object: Literal["chat.completion"]
    choices: list[Turn]
    usage: Usage


class ChatChunk(Document):
    """An event of a chat's stream; with usage, the last one has it and no choices."""

    object: Literal["chat.completion.chunk"]
    choices: list[Piece]
    usage: Usage | None = None


class Error(BaseModel):
    """What a stream ends with when it fails after its first piece."""

    error: dict[str, Any]


def documented_responses(whole: type[BaseModel], example: str, *events: type[BaseModel]) -> dict[int | str, Any]:
    """The `responses` of a route that answers with a `whole`, or with `events`, of which `example` is one."""
    streamed = {"content": {"text/event-stream": event_stream(example, *events)}}
    errors = {status: answer for status, answer in COMPUTED.items() if status != 422}
    return {200: {"model": whole, **streamed}} | errors | documented({400: "Values break a rule, as 422 elsewhere."})


def responses(whole: type[BaseModel], chunk: type[BaseModel], piece: dict[str, Any]) -> dict[int | str, Any]:
    """The same for answers in choices; a stream ends with `data: [DONE]`, which is not JSON."""
    event = chunk(id="1", created=1, model="smollm2-135m-instruct", **piece).model_dump_json(exclude_unset=True)
    return documented_responses(whole, f"data: {event}\n\ndata: [DONE]\n", chunk, Error)


PIECE = {"index": 0, "logprobs": None, "finish_reason": None}
COMPLETIONS = responses(Completion, Completion, {"object": "text_completion", "choices": [PIECE | {"text": " Paris"}]})
CHATS = responses(
    Chat, ChatChunk, {"object": "chat.completion.chunk", "choices": [PIECE | {"delta": {"content": "Heron"}}]}
)
