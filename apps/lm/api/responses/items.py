"""The items of a conversation in /v1/responses, as clients write them and as they send back those of an answer."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from apps.lm.api.openai.messages import Message, Turn, joined_text, written_call
from apps.lm.api.openai.only import Ignored, Only
from apps.lm.api.schemas import Body

STATELESS = "no answer is stored, so send all turns as messages (the AI SDK does with store: false)"


class MessageItem(Message):
    """A turn of the conversation."""

    type: Annotated[Any, Only("message", remedy=STATELESS)] = None
    id: Ignored = None
    status: Ignored = None
    phase: Ignored = None


class CallItem(Body):
    """A call of a function in the model's turn."""

    type: Literal["function_call"]
    name: str
    arguments: str
    call_id: str = ""
    id: Ignored = None
    status: Ignored = None
    parsed_arguments: Ignored = None  # the arguments, read by OpenAI's client

    @property
    def turn(self) -> Turn:
        """See `Message.turn`."""
        calls = [written_call(self.call_id, self.name, self.arguments)]
        return {"role": "assistant", "content": "", "tool_calls": calls}


class CallOutputItem(Body):
    """The result of a call."""

    type: Literal["function_call_output"]
    output: Annotated[str, BeforeValidator(joined_text)]
    call_id: str = ""
    id: Ignored = None
    status: Ignored = None
    name: Ignored = None

    @property
    def turn(self) -> Turn:
        """See `Message.turn`."""
        return {"role": "tool", "content": self.output, "tool_call_id": self.call_id}


def _item(value: object) -> MessageItem | CallItem | CallOutputItem:
    """By its type; a union's error would name all of them."""
    match value:
        case {"type": "function_call"}:
            return CallItem.model_validate(value)
        case {"type": "function_call_output"}:
            return CallOutputItem.model_validate(value)
    return MessageItem.model_validate(value)


Item = Annotated[MessageItem | CallItem | CallOutputItem, PlainValidator(_item), WithJsonSchema({"type": "object"})]
