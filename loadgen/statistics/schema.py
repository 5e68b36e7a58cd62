"""The types of a run's document, as far as reports and forecasts read it; `document.py` says what each key means.

A document that was cut off, edited or written by something else is refused with its mistakes, instead of failing in the
midst of a report.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from loadgen.cluster.observation import Observation
from loadgen.scenarios.fields import ThresholdText


class Part(BaseModel):
    """An object of the document; keys that nothing reads are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Distribution(Part):
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    mean: float


class Failure(Part):
    outcome: str
    status: int | None
    detail: str | None
    requests: Count
    phase: str | None
    pod: str | None
    model_version: str | None


class Served(Part):
    pod: str | None
    model_version: str | None
    requests: Annotated[int, Field(ge=1)]
    first_answer: float


class Accuracy(Part):
    correct: Count
    judged: Count
    share: float


class Tokens(Part):
    total: Count
    rate_per_second: float


class Summary(Part):
    requests: Count
    succeeded: Count
    failed: Count
    dropped: Count
    rate_per_second: float
    response_seconds: Distribution | None
    response_seconds_succeeded: Distribution | None
    service_seconds: Distribution | None
    first_token_seconds: Distribution | None
    inter_token_seconds: Distribution | None
    longest_silence_seconds: float | None
    errors: list[Failure]
    served_by: list[Served]
    accuracy: Accuracy | None
    completion_tokens: Tokens | None


class Phase(Part):
    name: str
    start: float
    end: float
    warmup: bool
    summary: Summary


class Threshold(Part):
    expression: ThresholdText
    value: float | None
    passed: bool


class Generator(Part):
    saturated: bool
    reasons: list[str]
    workers: list[dict[str, Any]]
    cpu_seconds: float


class Run(Part):
    started_at: str
    ended_by: str
    elapsed_seconds: Seconds
    version: str | None
    commit: str | None
    host: dict[str, Any]


class Timeline(Part):
    second: list[int]
    due: list[Count]
    succeeded: list[Count]
    failed: list[Count]
    dropped: list[Count]
    in_flight: list[int]
    response_p50: list[float | None]
    response_p90: list[float | None]
    response_p99: list[float | None]
    service_p50: list[float | None]
    service_p99: list[float | None]
    answered: list[Count]
    answered_service_mean: list[float | None]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if self.second != list(range(len(self.second))):
            raise PydanticCustomError("rule", "second must count 0, 1, 2, ...")
        odd = [name for name in type(self).model_fields if len(getattr(self, name)) != len(self.second)]
        if odd:
            raise PydanticCustomError("rule", "{odd} must be as long as second", {"odd": ", ".join(odd)})
        return self


class AnsweredBy(Part):
    pod: str | None
    answered: list[Count]


class Decision(Part):
    t: float
    current: int
    proposed: int | None
    desired: int | None
    observed: int | None
    why: str
    differs: bool
    unknown: list[str]


class Stage(Part):
    stage: str
    at: float | None
    seconds: float | None
    floor_seconds: float | None
    detail: str
    remedy: str | None


class Elasticity(Part):
    cpu_seconds_per_request: float
    under_accuracy: float
    over_accuracy: float
    under_timeshare: float
    over_timeshare: float
    instability: float
    replica_seconds: float
    replica_seconds_needed: float
    objective_seconds: float | None
    seconds_outside_objective: int | None
    demand: list[float]


class Document(Part):
    summary: Summary
    verdict: str | None
    thresholds: list[Threshold]
    phases: list[Phase]
    generator: Generator
    warnings: list[str]
    settings: dict[str, Any]
    target: str
    url: str
    run: Run
    timeline: Timeline
    answered_by: list[AnsweredBy]
    cluster: Observation | None
    decisions: list[Decision] | None
    reaction: list[Stage] | None
    elasticity: Elasticity | None
