"""Settings of a service: environment variables, checked with every mistake in one report."""

import difflib
import logging
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.serving.machine.memory import memory_limit

LOG = logging.getLogger("serving.settings")
S = TypeVar("S", bound="ServingSettings")
Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s*]+")
ORIGINS_RULE = "give origins as https://app.example.org, without a path, separated by commas; or *"
HOST = re.compile(r"\*|(\*\.)?[\w.-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?", re.IGNORECASE)
HOSTS_RULE = "give names as app.example.org or *.example.org, separated by commas"
BODIES_BYTES = 64 * 1024**2  # at most, of all bodies under way, unless it is set
MIN_SIMILARITY = 0.8  # difflib's ratio, from which a variable's name resembles a setting's
MIN_LENGTH = 8  # shorter names of settings, such as HOST and PORT, resemble too many variables


def _list_of(pattern: re.Pattern[str], rule: str) -> Callable[[str], list[str]]:
    """Return a validator that splits a text at commas; each part has to match `pattern`."""

    def split(text: str) -> list[str]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not all(pattern.fullmatch(part) for part in parts):
            raise ValueError(rule)
        return parts

    return split


Origins = Annotated[list[str], NoDecode, BeforeValidator(_list_of(ORIGIN, ORIGINS_RULE))]
Hosts = Annotated[list[str], NoDecode, BeforeValidator(_list_of(HOST, HOSTS_RULE))]


class ServingSettings(BaseSettings):
    """Settings of every service. Each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, protected_namespaces=())

    # Variables of other services that may stand in the same environment; they are no misspelt settings of this one.
    foreign_variables: ClassVar[frozenset[str]] = frozenset()

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Ge(0), Le(65535)] = Field(8000, description="TCP port; 0 lets the system pick")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    model_version: str = Field("", description="expected version; empty: the manifest decides")
    model_sha256: str = Field("", description="expected sha256; empty: the manifest decides")
    artificial_cpu_sec: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        0, description="CPU seconds burnt for each prediction, to show autoscaling"
    )
    max_in_flight: Count = Field(1, description="predictions computed at once")
    max_queue: Annotated[int, Ge(0)] = Field(128, description="predictions that may wait; beyond it 503")
    max_body_bytes: Count = Field(1_048_576, description="largest request body, bytes; beyond it 413")
    max_total_body_bytes: Count | None = Field(
        None,
        description="bytes of all bodies under way; beyond it 503 for the largest; empty: an eighth of the memory "
        f"limit, at most {BODIES_BYTES}",
    )
    keep_alive_seconds: Seconds = Field(
        75, description="idle time after which a connection closes; longer than gateways keep theirs"
    )
    connection_max_age_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        60, description="age at which an answer ends its connection, so that clients reach new pods; 0: no limit"
    )
    request_timeout_seconds: Seconds = Field(30, description="from arrival to answer; then 504")
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5, description="seconds after SIGTERM in which new requests are still served"
    )
    cors_origins: Origins = Field(
        [], validate_default=False, description="origins whose pages may call the service, or *; empty: no CORS"
    )
    allowed_hosts: Hosts = Field(
        [], validate_default=False, description="names that a request's Host may have; empty: any"
    )

    @property
    def requested_model(self) -> dict[str, str]:
        """The settings that say which model to serve, without those that are empty."""
        return {name: value for name, value in self if name.startswith("model_") and value}

    @property
    def body_budget(self) -> int:
        """Bytes of all bodies under way; at least the largest allowed body."""
        limit = memory_limit()
        default = BODIES_BYTES if limit is None else min(BODIES_BYTES, limit // 8)
        return max(self.max_total_body_bytes or default, self.largest_body)

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body that any route reads."""
        return self.max_body_bytes

    @property
    def capacity(self) -> int:
        """How much may compute at once, in the unit of the sizes of the service's requests."""
        return self.max_in_flight


class SettingsError(Exception):
    """Every mistake in the environment, one per line."""


def read_settings(schema: type[S], **overrides: Any) -> S:
    """Read settings from the environment; `overrides` that are not None take precedence.

    Raises SettingsError with a line for each mistake: the variable, its value and the rule.
    """
    mistakes = _misspelt(schema)
    try:
        settings = schema(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        mistakes += [_line(mistake) for mistake in error.errors()]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def warn_of_similar(schema: type[ServingSettings]) -> None:
    """Log variables that resemble a setting and probably belong to another program, such as DD_LOG_LEVEL."""
    for variable, setting in _similar(schema).items():
        if not _same_prefix(variable, setting):
            LOG.warning(
                "variable is not a setting of this service", extra={"variable": variable, "similar_to": setting}
            )


def _misspelt(schema: type[ServingSettings]) -> list[str]:
    """Return a line for each misspelt setting: ignoring it would silently keep the default."""
    return [
        f"{variable}: there is no such setting. Is {setting} meant?"
        for variable, setting in _similar(schema).items()
        if _same_prefix(variable, setting)
    ]


def _similar(schema: type[ServingSettings]) -> dict[str, str]:
    """Return the variables that resemble settings, each with the nearest setting."""
    names = {name.upper() for name in schema.model_fields}
    long_names = [name for name in names if len(name) >= MIN_LENGTH]
    nearest = {
        variable: difflib.get_close_matches(variable, long_names, 1, MIN_SIMILARITY)
        for variable in sorted(set(os.environ) - names - schema.foreign_variables)
    }
    return {variable: matches[0] for variable, matches in nearest.items() if matches}


def _same_prefix(variable: str, setting: str) -> bool:
    """Return whether both names start with the same word: other programs start theirs with a word of their own."""
    return variable.partition("_")[0] == setting.partition("_")[0]


def _line(mistake: ErrorDetails) -> str:
    variable = "_".join(str(part) for part in mistake["loc"]).upper()
    if mistake["type"] == "missing":
        return f"{variable} is not set, and has no default."
    rule = mistake["msg"].removeprefix("Value error, ")
    return f"{variable}={str(mistake['input'])[:80]!r}: {rule}."
