"""The turns of a conversation, as clients write them and as they send back the model's."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from apps.lm.api.openai.only import EMPTY, Ignored
from apps.lm.api.schemas import Body, mistakes

TEXT_TYPES = ("text", "input_text", "output_text")  # of parts; the last two are those of /v1/responses
WriteCall = Callable[[str, str], str]  # (name, arguments) -> what the model reads


def joined_text(value: object) -> object:
    """Join a list of text parts; the field validates anything else."""
    if not isinstance(value, list) or not value:
        return value
    texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") in TEXT_TYPES]
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(value):
        raise ValueError("has parts that are not text, and the model reads nothing else")
    return "\n".join(strings)


class CalledFunction(Body):
    """A function with the arguments that the model wrote, as JSON."""

    name: str
    arguments: str
    parsed_arguments: Ignored = None  # the same, read by OpenAI's client


class ToolCall(Body):
    """A call in the model's turn, as an answer has it."""

    id: Ignored = None
    type: Literal["function"] = "function"
    index: Ignored = None
    function: CalledFunction


class Message(Body):
    """One turn of a conversation. Of the model's turn, all fields that an answer has are accepted."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        str,
        BeforeValidator(joined_text),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}]}),
        Field(description="required, but the model's turn may have none"),
    ] = ""
    name: Ignored = None
    parsed: Ignored = None  # the content, read by OpenAI's client
    refusal: Annotated[Any, EMPTY] = None
    annotations: Annotated[Any, EMPTY] = None
    audio: Annotated[Any, EMPTY] = None
    function_call: Annotated[Any, EMPTY] = None
    tool_calls: list[ToolCall] = []  # noqa: RUF012
    tool_call_id: Ignored = None
    reasoning: Annotated[Any, EMPTY] = None
    reasoning_content: Annotated[Any, EMPTY] = None

    @model_validator(mode="after")
    def _require_content(self) -> "Message":
        if self.role != "assistant" and "content" not in self.model_fields_set:
            raise mistakes((("content",), "is required"))
        return self

    def turn(self, write_call: WriteCall) -> dict[str, str]:
        """The message as chat templates read it. `write_call` writes the calls of the model's turn."""
        texts = [self.content] if self.content or not self.tool_calls else []
        calls = [write_call(call.function.name, call.function.arguments) for call in self.tool_calls]
        return {"role": "system" if self.role == "developer" else self.role, "content": "\n".join(texts + calls)}
