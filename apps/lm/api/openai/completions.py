"""The request of /v1/completions."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from apps.lm.api.openai.compatibility import OtherCompletionParameters
from apps.lm.api.openai.formats import ResponseFormat
from apps.lm.api.openai.problems import unknown_token
from apps.lm.api.openai.schemas import MAX_ANSWERS, MAX_TOP, TEXT, OpenAIRequest
from apps.lm.api.schemas import Integer, Mistake
from apps.lm.budget import DEFAULT_ANSWER_TOKENS
from apps.lm.model import LanguageModel

TOKENS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
PROMPT_SCHEMA: list[dict[str, Any]] = [{"type": "string", "minLength": 1}, TOKENS_SCHEMA]
PROMPTS_SCHEMA = {"anyOf": [*PROMPT_SCHEMA, {"type": "array", "items": {"anyOf": PROMPT_SCHEMA}, "minItems": 1}]}


def _prompts(value: object) -> object:
    """A list of prompts, each a text or a list of token ids; one can be sent as it is."""
    prompts = [value] if isinstance(value, str) or _is_tokens(value) else value
    if not isinstance(prompts, list) or not prompts or not all(map(_is_prompt, prompts)):
        raise ValueError("is not a text, a list of token ids, or a list of such prompts, none of them empty")
    return prompts


def _is_prompt(value: object) -> bool:
    return bool(value) if isinstance(value, str) else _is_tokens(value)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int and token >= 0 for token in value)


class CompletionRequest(OtherCompletionParameters, OpenAIRequest):
    """Texts to continue."""

    prompt: Annotated[list[Any], BeforeValidator(_prompts), WithJsonSchema(PROMPTS_SCHEMA)] = Field(
        description="a text to continue, its token ids, or a list of texts or of token ids"
    )
    max_tokens: Annotated[Integer, Field(ge=0)] = Field(
        DEFAULT_ANSWER_TOKENS, description="most tokens of the answer; 0 only with echo"
    )
    best_of: Annotated[Integer | None, Field(ge=1, le=MAX_ANSWERS)] = Field(
        None, description="answers to each prompt, of which the n likeliest are returned; n by default"
    )
    echo: bool = Field(False, description="let the answer begin with the prompt")
    logprobs: Annotated[Integer | None, Field(ge=0, le=MAX_TOP)] = Field(
        None, description="report the log-probability of each token, and of this many of the likeliest"
    )
    response_format: ResponseFormat = TEXT

    def conflicts(self) -> list[Mistake]:
        """See `OpenAIRequest`."""
        several = super().conflicts()
        if self.max_tokens == 0 and not self.echo:
            several.append((("max_tokens",), "is 0, which needs echo"))
        if self.copies < self.n:
            several.append((("best_of",), f"({self.best_of}) is less than n ({self.n})"))
        if self.copies > self.n and self.stream:
            several.append((("best_of",), "cannot be streamed unless it is n: the best are known at the end"))
        if (count := len(self.prompt) * self.copies) > MAX_ANSWERS:
            several.append((("prompt",), f"asks for {count} answers; ask for up to {MAX_ANSWERS} in a request"))
        return several

    def tokenize_prompts(self, model: LanguageModel) -> list[list[int]]:
        """See `OpenAIRequest`."""
        return [model.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in self.prompt]

    @property
    def most_tokens(self) -> int:
        return self.max_tokens

    @property
    def held_to(self) -> dict[str, Any] | None:
        return self.response_format.held_to

    @property
    def top(self) -> int | None:
        return self.logprobs

    @property
    def echoes(self) -> bool:
        return self.echo

    @property
    def copies(self) -> int:
        return self.n if self.best_of is None else self.best_of

    def _require_computable(self, model: LanguageModel) -> None:
        super()._require_computable(model)
        largest = max((max(prompt) for prompt in self.prompt if not isinstance(prompt, str)), default=0)
        if largest >= model.tokenizer.vocabulary:
            raise unknown_token(model, largest, "prompt")


COMPLETION_EXAMPLES: dict[str, Any] = {
    "greedy": {
        "summary": "The likeliest continuation",
        "value": {"model": "smollm2-135m-instruct", "prompt": "The capital of France is", "temperature": 0},
    }
}
