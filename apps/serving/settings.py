"""Settings of a service: environment variables and their units in one place, all mistakes told at once."""

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ServingSettings(BaseSettings):
    """What both services understand; each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_ignore_empty=True, protected_namespaces=()
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Ge(0), Le(65535)] = Field(8000, description="TCP port; 0 lets the system pick")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")
    model_version: str = Field("", description="expected version; empty: the manifest decides")
    model_sha256: str = Field("", description="expected sha256; empty: the manifest decides")
    artificial_cpu_sec: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        0, description="CPU seconds burnt for each prediction, to show autoscaling"
    )
    max_in_flight: Count = Field(1, description="predictions computed at once")
    max_queue: Annotated[int, Ge(0)] = Field(128, description="predictions that may wait; beyond it 503")
    max_body_bytes: Count = Field(1_048_576, description="largest request body, bytes; beyond it 413")
    request_timeout_seconds: Seconds = Field(30, description="from arrival to answer; then 504")
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5, description="seconds after SIGTERM in which new requests are still served"
    )


class SettingsError(Exception):
    """Every mistake in the environment, a line each."""


def read_settings(kind: type[ServingSettings], **overrides: object) -> ServingSettings:
    """Read settings of `kind` from the environment; `overrides` that are not None win.

    Raises SettingsError with a line for each mistake: variable, what was given, the rule.
    """
    try:
        return kind(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(_line(mistake) for mistake in error.errors())) from None


def _line(mistake: dict) -> str:
    variable = "_".join(str(part) for part in mistake["loc"]).upper() or "settings"
    given = "" if mistake["type"] == "missing" else f"={str(mistake['input'])[:80]!r}"
    return f"{variable}{given}: {mistake['msg']}."
