"""The settings that only the language model has; the core's are in apps.serving.settings."""

from typing import Annotated

from pydantic import Field

from apps.serving.settings import Count, ServingSettings


class LanguageModelSettings(ServingSettings):
    """Environment variables of the same names in capitals."""

    model_name: str = Field(description="local model folder, or hub id such as erwanf/gpt2-mini")
    model_revision: str = Field("", description="commit, tag or branch of a hub id; empty: main")
    max_in_flight: Count = Field(8, description="prompts answered at once, in one batch")
    max_total_tokens: Annotated[int, Field(ge=2)] = Field(
        256, description="tokens of prompt and answer together; never beyond the model's context"
    )
