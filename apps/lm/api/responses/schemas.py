"""The request of /v1/responses."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from apps.lm.api.openai.calls import CallRequest
from apps.lm.api.openai.formats import TextFormat
from apps.lm.api.openai.only import EMPTY, Ignored, Only
from apps.lm.api.openai.schemas import MAX_MESSAGES, MAX_TOP, Tokens
from apps.lm.api.openai.tools import CHOICE, MAX_TOOLS, Function, Named, ResponseToolChoice
from apps.lm.api.responses.items import STATELESS, Item
from apps.lm.api.schemas import Body, Integer
from apps.lm.model import LanguageModel

LOGPROBS = "message.output_text.logprobs"
# What an answer can include; but for LOGPROBS, parts that no answer here has.
Included = Literal[
    "message.output_text.logprobs",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]


def _items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class ResponseTool(Function):
    """A function that can be called."""

    type: Literal["function"]
    defer_loading: Annotated[Any, Only(False)] = None
    output_schema: Ignored = None  # of what the client will send

    @property
    def written(self) -> dict[str, Any]:
        """The tool as an answer repeats it."""
        named = {"type": self.type, "name": self.name, "description": self.description or None}
        return named | {"parameters": self.parameters, "strict": self.strict}


class TextOptions(Body):
    """How the answer's text is written."""

    format: TextFormat = TextFormat()
    verbosity: Annotated[Any, Only("medium")] = None


class OtherResponseParameters(Body):
    """What this service does not compute; see `apps.lm.api.openai.compatibility`."""

    access_programs: Annotated[Any, EMPTY] = None
    background: Annotated[Any, Only(False)] = None
    background_options: Annotated[Any, EMPTY] = None
    context_management: Annotated[Any, EMPTY] = None
    conversation: Annotated[Any, Only(remedy=STATELESS)] = None
    image: Annotated[Any, EMPTY] = None
    max_tool_calls: Ignored = None
    moderation: Annotated[Any, EMPTY] = None
    previous_response_id: Annotated[Any, Only(remedy=STATELESS)] = None
    prompt: Annotated[Any, Only()] = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    reasoning: Annotated[Any, Only({}, {"effort": "none"})] = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Annotated[Any, Field(description="accepted; no answer is stored")] = None
    truncation: Annotated[Any, Only("disabled")] = None
    n: Annotated[Any, Only(1)] = 1


class ResponseRequest(OtherResponseParameters, CallRequest):
    """A conversation to answer."""

    format_field: ClassVar[str] = "text"
    logprobs_field: ClassVar[str] = "top_logprobs"

    input: Annotated[
        list[Item],
        BeforeValidator(_items),
        Field(min_length=1, max_length=MAX_MESSAGES),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]}),
    ] = Field(description="the user's text, or the turns of a conversation")
    instructions: str | None = Field(None, description="a system message before the conversation")
    max_output_tokens: Tokens | None = Field(
        None, description="most tokens of the answer; by default as many as fit beside the conversation"
    )
    text: TextOptions = TextOptions()
    metadata: dict[str, Any] | None = Field(None, description="returned with the answer")
    include: list[Included] = Field([], description=f"{LOGPROBS}: report the log-probability of each token")
    top_logprobs: Annotated[Integer, Field(ge=0, le=MAX_TOP)] = Field(
        0, description="report the log-probability of each token, and of this many of the likeliest"
    )

    tools: Annotated[list[ResponseTool], Field(max_length=MAX_TOOLS)] = Field(
        [], description="functions; tool_choice says which one the answer calls"
    )
    tool_choice: ResponseToolChoice = Field("auto", description=CHOICE)

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        system = [] if self.instructions is None else [{"role": "system", "content": self.instructions}]
        return [self.tokenize_turns(model, [*system, *(item.turn for item in self.input)])]

    @property
    def offered(self) -> Sequence[Function]:
        return self.tools

    @property
    def written_choice(self) -> str | dict[str, str]:
        """`tool_choice` as an answer repeats it."""
        if isinstance(self.tool_choice, Named):
            return {"type": "function", "name": self.tool_choice.name}
        return str(self.tool_choice) if self.tools else "none"

    @property
    def text_schema(self) -> dict[str, Any] | None:
        return self.text.format.held_to

    @property
    def top(self) -> int | None:
        return self.top_logprobs if self.top_logprobs or LOGPROBS in self.include else None

    @property
    def most_tokens(self) -> int | None:
        return self.max_output_tokens


EXAMPLES: dict[str, Any] = {
    "question": {
        "summary": "One question",
        "value": {
            "model": "smollm2-135m-instruct",
            "instructions": "Answer in one word.",
            "input": "Name a bird.",
            "temperature": 0,
        },
    }
}
