"""The request of /v1/chat/completions."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from apps.lm.api.openai.calls import CallRequest
from apps.lm.api.openai.compatibility import OtherChatParameters
from apps.lm.api.openai.formats import ResponseFormat
from apps.lm.api.openai.messages import Message
from apps.lm.api.openai.schemas import MAX_MESSAGES, MAX_TOP, TEXT, Tokens
from apps.lm.api.openai.tools import CHOICE, MAX_TOOLS, Function, Tool, ToolChoice
from apps.lm.api.schemas import Integer, Mistake
from apps.lm.model import LanguageModel


class ChatRequest(OtherChatParameters, CallRequest):
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
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] = Field(
        [], description="functions; tool_choice says which one the answer calls"
    )
    tool_choice: ToolChoice = Field("auto", description=CHOICE)

    def conflicts(self) -> list[Mistake]:
        """See `OpenAIRequest`."""
        alone = self.top_logprobs and not self.logprobs
        return super().conflicts() + ([(("top_logprobs",), "needs logprobs: true")] if alone else [])

    @property
    def offered(self) -> list[Function]:
        return [tool.function for tool in self.tools]

    @property
    def text_schema(self) -> dict[str, Any] | None:
        return self.response_format.held_to

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        return [self.tokenize_turns(model, [message.turn for message in self.messages])]

    @property
    def most_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

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
