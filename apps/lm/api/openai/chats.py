"""The request of /v1/chat/completions."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from apps.lm.api.openai.compatibility import OtherChatParameters
from apps.lm.api.openai.formats import ResponseFormat
from apps.lm.api.openai.messages import Message
from apps.lm.api.openai.problems import invalid_schema
from apps.lm.api.openai.schemas import MAX_MESSAGES, MAX_TOP, TEXT, OpenAIRequest, Tokens
from apps.lm.api.openai.tools import Function, ToolChoice, Tools, demanded, mistake
from apps.lm.api.schemas import Integer, Mistake, mistakes
from apps.lm.engines.protocol import Grammar, SchemaError
from apps.lm.model import LanguageModel


class ChatRequest(OtherChatParameters, OpenAIRequest):
    """A conversation to answer."""

    logprobs_field: ClassVar[str] = "top_logprobs"

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: Tokens | None = Field(
        None, description="most tokens of the answer; by default as many as fit beside the conversation"
    )
    max_tokens: Tokens | None = Field(None, description="the earlier name of max_completion_tokens")
    logprobs: bool = Field(False, description="report the log-probability of each token")
    top_logprobs: Annotated[Integer, Field(ge=0, le=MAX_TOP)] = Field(
        0, description="with logprobs: also of this many of the likeliest tokens"
    )
    response_format: ResponseFormat = TEXT
    tools: Tools = Field([], description="functions; tool_choice says which one the answer calls")
    tool_choice: ToolChoice = Field("auto", description="the function to call; required: the only one of tools")

    @model_validator(mode="after")
    def _check_together(self) -> "ChatRequest":
        several: list[Mistake] = []
        if self.top_logprobs and not self.logprobs:
            several.append((("top_logprobs",), "needs logprobs: true"))
        if wrong := mistake(self.tools, self.tool_choice):
            several.append(wrong)
        elif self.called and self.response_format.held_to is not None:
            several.append((("response_format",), "is that of a text, and tool_choice demands a call; leave one out"))
        if several:
            raise mistakes(*several)
        return self

    @property
    def called(self) -> Function | None:
        return demanded(self.tools, self.tool_choice)

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        tools = [tool.model_dump(exclude_none=True) for tool in self.tools if tool.function is self.called]
        return [model.tokenize_chat([message.turn for message in self.messages], tools)]

    def grammar(self, model: LanguageModel) -> Grammar | None:
        """See `OpenAIRequest`."""
        try:
            return super().grammar(model)
        except SchemaError as error:
            raise invalid_schema(error, self.held_by) from None

    @property
    def most_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def held_to(self) -> dict[str, Any] | None:
        return self.called.arguments if self.called else self.response_format.held_to

    @property
    def held_by(self) -> str:
        return "tools" if self.called else self.format_field

    @property
    def top(self) -> int | None:
        return self.top_logprobs if self.logprobs else None


CHAT_EXAMPLES: dict[str, Any] = {
    "question": {
        "summary": "One question",
        "value": {
            "model": "smollm2-135m-instruct",
            "messages": [{"role": "user", "content": "Name a bird."}],
            "temperature": 0,
        },
    }
}
