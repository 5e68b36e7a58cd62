"""Requests whose answer can be the call of a function."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from apps.lm.api.openai.messages import Turn, write_as_text, write_for_template
from apps.lm.api.openai.problems import calls_or_schema, invalid_schema, unread_calls
from apps.lm.api.openai.reading import ChosenCallReader, DemandedCallReader, Reader, TextReader
from apps.lm.api.openai.schemas import OpenAIRequest
from apps.lm.api.openai.tools import Function, call_schema, choice_mistakes, demanded
from apps.lm.api.schemas import Mistake
from apps.lm.call_format import NO_TOOLS, ToolSupport
from apps.lm.engines.protocol import Grammar, SchemaError
from apps.lm.model import LanguageModel


class CallRequest(OpenAIRequest):
    """A request with the field `tools`, of which protocols have their own form."""

    tool_choice: Any = "auto"
    parallel_tool_calls: bool = Field(
        True, description="whether an answer can have several calls, if the model chooses"
    )

    @property
    @abstractmethod
    def offered(self) -> Sequence[Function]:
        """Those of `tools`."""

    @property
    @abstractmethod
    def text_schema(self) -> dict[str, Any] | None:
        """The JSON schema of an answer that is a text; None for any text."""

    @property
    def called(self) -> Sequence[Function]:
        """The functions of which the answer must call one; none if it can be a text."""
        return demanded(self.offered, self.tool_choice)

    def chosen(self, model: LanguageModel) -> Sequence[Function]:
        """The functions that the model sees and may call or not. A template that shows none makes its answer a text."""
        return self.offered if self.offered and self.tool_choice == "auto" and _support(model).shows else []

    @property
    def held_to(self) -> dict[str, Any] | None:
        return call_schema(self.called) if self.called else self.text_schema

    @property
    def held_by(self) -> str:
        return "tools" if self.called else self.format_field

    def conflicts(self) -> list[Mistake]:
        """See `OpenAIRequest`."""
        several = super().conflicts() + choice_mistakes(self.offered, self.tool_choice)
        if self.called and self.text_schema is not None:
            rule = "is that of a text, and tool_choice demands a call; leave one out"
            several.append(((self.format_field,), rule))
        return several

    def grammar(self, model: LanguageModel) -> Grammar | None:
        """See `OpenAIRequest`."""
        try:
            return super().grammar(model)
        except SchemaError as error:
            raise invalid_schema(error, self.held_by) from None

    def reader(self, model: LanguageModel) -> Reader:
        """See `OpenAIRequest`."""
        if self.called:
            return DemandedCallReader(self.called)
        if not (chosen := self.chosen(model)) or (call_format := _support(model).format) is None:
            return TextReader()
        tokenizer = model.tokenizer
        answered = call_format.decoded(lambda text: tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)))
        return ChosenCallReader(answered, chosen, self.parallel_tool_calls)

    def tokenize_turns(self, model: LanguageModel, turns: Sequence[Turn]) -> list[int]:
        """The tokens of a conversation with the functions that can be called; raise as `tokenize_prompts` does."""
        if any("tool_calls" in turn for turn in turns):
            writes = _support(model).writes
            turns = write_for_template(turns) if writes else write_as_text(turns, named=len(self.offered) > 1)
        functions = self.called or self.chosen(model)
        return model.tokenize_chat(turns, [function.described for function in functions])

    def _require_computable(self, model: LanguageModel) -> None:
        super()._require_computable(model)
        if self.chosen(model):
            if _support(model).format is None:
                raise unread_calls(model)
            if self.text_schema is not None:
                raise calls_or_schema(self.format_field)


def _support(model: LanguageModel) -> ToolSupport:
    return model.chat_template.tool_support if model.chat_template else NO_TOOLS
