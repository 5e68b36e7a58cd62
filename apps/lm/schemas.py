"""What /generate takes and gives, as its clients and the OpenAPI document see it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.lm.budget import DEFAULT_ANSWER_TOKENS


class GenerateRequest(BaseModel):
    """A prompt to continue."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(min_length=1, description="the text to continue")]
    max_new_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description=f"most tokens of the answer, {DEFAULT_ANSWER_TOKENS} by default; "
            "more than fits beside the prompt is cut, with finish_reason length",
        ),
    ] = None


class Usage(BaseModel):
    """Counts of tokens; the token that ends an answer counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GenerateResponse(BaseModel):
    """The continuation, without the prompt."""

    model_config = ConfigDict(protected_namespaces=())

    generated_text: str
    finish_reason: Literal["stop", "length"] = Field(
        description="stop: the model ended its answer; length: its tokens were used up"
    )
    usage: Usage
    model_version: str


EXAMPLES: dict[str, Any] = {
    "short": {
        "summary": "A few words more",
        "value": {"prompt": "The capital of France is", "max_new_tokens": 8},
    },
    "default": {
        "summary": f"Up to {DEFAULT_ANSWER_TOKENS} tokens",
        "value": {"prompt": "Once upon a time there was a little girl who"},
    },
}

ANSWER_EXAMPLE: dict[str, Any] = {
    "generated_text": " Paris.",
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    "model_version": "v1",
}
