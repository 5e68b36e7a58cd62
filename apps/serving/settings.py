"""Settings of a service: environment variables and their units in one place, all mistakes told at once."""

import difflib
import logging
import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.serving.machine.memory import memory_limit

Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s*]+")
HOST = re.compile(r"\*|(\*\.)?[\w.-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?", re.IGNORECASE)

SIBLINGS = {
    "MODEL_PATH",
    "MODEL_NAME",
    "MODEL_REVISION",
    "MAX_TOTAL_TOKENS",
    "MAX_BATCH_TOTAL_TOKENS",
}  # of one service, known to all
BODIES_BYTES = 64 * 1024**2
LIKENESS = 0.8
LOG = logging.getLogger("serving.settings")
S = TypeVar("S", bound="ServingSettings")


def _listed(pattern: re.Pattern, rule: str) -> Callable[[str], list[str]]:
    """A validator that splits at commas and wants each part to be as `pattern` says."""

    def split(text: str) -> list[str]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not all(pattern.fullmatch(part) for part in parts):
            raise ValueError(rule)
        return parts

    return split


ORIGINS_RULE = "give origins as https://app.example.org, without a path, separated by commas; or *"
HOSTS_RULE = "give names as app.example.org or *.example.org, separated by commas"
Origins = Annotated[list[str], NoDecode, BeforeValidator(_listed(ORIGIN, ORIGINS_RULE))]
Hosts = Annotated[list[str], NoDecode, BeforeValidator(_listed(HOST, HOSTS_RULE))]


class ServingSettings(BaseSettings):
    """What both services understand; each field is an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, protected_namespaces=())

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
    max_total_body_bytes: Count | None = Field(
        None,
        description="bytes of all bodies under way, beyond it 503 for the largest; empty: an eighth of the memory "
        f"limit, at most {BODIES_BYTES}",
    )
    keep_alive_seconds: Seconds = Field(75, description="an idle connection stays open; longer than a gateway's pool")
    connection_max_age_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        60, description="after which an answer ends its connection, so that kept ones reach new pods; 0: never"
    )
    request_timeout_seconds: Seconds = Field(30, description="from arrival to answer; then 504")
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5, description="seconds after SIGTERM in which new requests are still served"
    )
    cors_origins: Origins = Field("", description="origins whose pages may call the service, or *; none: no CORS")
    allowed_hosts: Hosts = Field("", description="names that a request's Host may have; none: any")

    @property
    def body_budget(self) -> int:
        """Bytes of all bodies under way; the largest that is allowed always fits."""
        limit = memory_limit()
        fitting = BODIES_BYTES if limit is None else min(BODIES_BYTES, limit // 8)
        return max(self.max_total_body_bytes or fitting, self.largest_body)

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body that any route reads."""
        return self.max_body_bytes

    @property
    def capacity(self) -> int:
        """How much may compute at once, in the unit that the service's requests are measured in."""
        return self.max_in_flight


class SettingsError(Exception):
    """Every mistake in the environment, a line each."""


def read_settings(kind: type[S], **overrides: object) -> S:
    """Read settings of `kind` from the environment; `overrides` that are not None win.

    Raises SettingsError with a line for each mistake: variable, what was given, the rule.
    """
    mistakes, settings = _misspelt(_known(kind)), None
    try:
        settings = kind(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        mistakes += [_line(mistake) for mistake in error.errors()]
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return settings


def tell_of_similar(kind: type[ServingSettings]) -> None:
    """Log the variables that resemble a setting of `kind` and may be another program's, such as DD_LOG_LEVEL."""
    for name, nearest in _similar(_known(kind)).items():
        if not _ours(name, nearest):
            LOG.warning("variable is not a setting of this service", extra={"variable": name, "similar_to": nearest})


def _misspelt(known: set[str]) -> list[str]:
    """A line for each variable of ours with a wrong letter or two: ignored, it would leave a default in force."""
    return [
        f"{name}: there is no such setting. Is {nearest} meant?"
        for name, nearest in _similar(known).items()
        if _ours(name, nearest)
    ]


def _known(kind: type[ServingSettings]) -> set[str]:
    return {name.upper() for name in kind.model_fields}


def _similar(known: set[str]) -> dict[str, str]:
    """Variables that resemble settings, and which ones."""
    candidates = [name for name in known if len(name) >= 8]
    nearest = {
        name: difflib.get_close_matches(name, candidates, 1, LIKENESS)
        for name in sorted(set(os.environ) - known - SIBLINGS)
    }
    return {name: matches[0] for name, matches in nearest.items() if matches}


def _ours(name: str, nearest: str) -> bool:
    """Whether a variable can only be ours: others put a word of their own first."""
    return name.partition("_")[0] == nearest.partition("_")[0]


def _line(mistake: Any) -> str:
    variable = "_".join(str(part) for part in mistake["loc"]).upper()
    rule = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "missing":
        return f"{variable} is not set, and has no default."
    return f"{variable}={str(mistake['input'])[:80]!r}: {rule}."
