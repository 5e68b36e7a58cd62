"""The settings that only the language model service has; apps.serving.settings has those of all services."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from apps.serving.settings import Count, ServingSettings

BATCH = 8  # sequences of MAX_TOTAL_TOKENS that fit in the batch by default


class LanguageModelSettings(ServingSettings):
    """Each field is an environment variable of the same name in capitals."""

    foreign_variables: ClassVar[frozenset[str]] = frozenset({"MODEL_PATH"})  # the classifier's

    model_name: str = Field(description="local model folder, or hub id such as erwanf/gpt2-mini")
    model_revision: str = Field("", description="commit, tag or branch of a hub id; empty: main")
    dtype: Literal["fp32", "bf16", "auto"] = Field(
        "fp32",
        description="numbers of the torch engine; auto: bf16 where the processor computes it natively, else fp32",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the torch engine computes; auto: on a GPU where there is one"
    )
    max_in_flight: Count = Field(16, description="prompts answered at once, in one batch")
    max_total_tokens: Annotated[int, Field(ge=2)] = Field(
        256, description="tokens of prompt and answer together; never beyond the model's context"
    )
    max_batch_total_tokens: Count | None = Field(
        None,
        description="tokens of all prompts and answers computed at once, which bounds the memory of keys and values; "
        f"empty: {BATCH} times MAX_TOTAL_TOKENS",
    )

    @property
    def capacity(self) -> int:
        """The most tokens of all sequences in the batch together."""
        return self.max_batch_total_tokens or BATCH * self.max_total_tokens

    @property
    def answer_seconds(self) -> float:
        """Seconds from a request's arrival until its answer ends with what it has, to be sent before the deadline."""
        return self.request_timeout_seconds - min(1.0, self.request_timeout_seconds / 10)

    @field_validator("max_batch_total_tokens")
    @classmethod
    def _require_one_request(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and value < (minimum := others.data.get("max_total_tokens", 0)):
            raise ValueError(f"is less than MAX_TOTAL_TOKENS ({minimum}), so that not even one request fits; raise it")
        return value
