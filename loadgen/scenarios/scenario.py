"""What a run does: the fields of a scenario file, each of which is a flag of the command line too."""

import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from loadgen.scenarios import schedule
from loadgen.scenarios import thresholds as threshold_grammar
from loadgen.scenarios.fields import (
    Connections,
    Count,
    File,
    Header,
    Natural,
    Rate,
    Rates,
    Release,
    Seconds,
    ThresholdText,
    Trace,
    Url,
    rule,
)
from loadgen.text import safe

CLASSIFIER, LANGUAGE_MODEL = "http://127.0.0.1:30080", "http://127.0.0.1:30081"  # of the local cluster
DEFAULT_URLS = {"classifier": CLASSIFIER, "oip": CLASSIFIER, "lm": LANGUAGE_MODEL, "openai": LANGUAGE_MODEL}
DEFAULT_MODELS = {"oip": "mnist_rf", "openai": "smollm2-135m-instruct"}
DEFAULT_CONCURRENCY = {"classifier": 40, "oip": 40, "lm": 2, "openai": 2, "http": 10}
# Longer than the services' own deadlines (requestTimeoutSeconds: 30, of the language model 60), so that a late answer,
# or the 504 that takes its place, counts as what it is.
DEFAULT_TIMEOUT_SECONDS = {"classifier": 45.0, "oip": 45.0, "lm": 75.0, "openai": 75.0, "http": 30.0}
TARGETS = tuple(DEFAULT_CONCURRENCY)
WORKERS_PER_CORE = 4
MOST_CHARACTERS = 100_000  # of a scenario file; about 2,000 phases, which PyYAML parses in seconds


class Phase(BaseModel):
    """A part of the run. rate: requests a second at its begin and its end (open loop); warmup: counted apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w .-]{0,40}$")]
    seconds: Seconds
    rate: Rates | None = None
    warmup: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_flag(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, *parts = value.split(":")
        warmup = parts[-1:] == ["warmup"]
        fields = dict(zip(("seconds", "rate"), parts[: len(parts) - warmup], strict=False))
        if not 1 <= len(parts) - warmup <= 2:
            raise PydanticCustomError("rule", "must be NAME:SECONDS:RATE, such as spike:20:100 or rise:30:10-50")
        return {"name": name, "warmup": warmup, **fields}


def option(text: str, default: Any = None, **hints: Any) -> Any:
    """A field with its help text. hints: `metavar`; `flag`, if not the field's name; `targets`, if not all."""
    return Field(default, description=text, json_schema_extra=hints)


class Scenario(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Literal["classifier", "lm", "openai", "oip", "http"]
    url: Url | None = option("address of the service; a bare http://HOST:PORT gets the target's path", metavar="URL")
    duration_seconds: Seconds = option("time during which requests are sent", 120.0, metavar="S")
    rate: Rate | None = option("open loop: arrivals a second, whether or not earlier ones are answered", metavar="R")
    arrivals: Literal["constant", "poisson"] = option("spacing of the arrivals of the open loop", "constant")
    trace: Trace | None = option("open loop: a file of arrivals in seconds from the start, one a line", metavar="FILE")
    phases: tuple[Phase, ...] = option(
        "a phase NAME:SECONDS[:RATE][:warmup], in their order; RATE is 10, or 10-50 for a ramp",
        (),
        flag="phase",
        metavar="PHASE",
    )
    concurrency: Count | None = option("closed loop: simultaneous users, each with one request at a time", metavar="N")
    max_in_flight: Count | None = option(
        "open loop: arrivals beyond these are dropped, not sent; by default what this machine allows, up to 10,000",
        metavar="N",
    )
    connections: Connections = option("one a request, kept, or renewed at an age", 5.0, metavar="fresh|kept|renew:5s")
    timeout_seconds: Seconds | None = option("for one request, including the connection", metavar="S")
    obey_retry_after: bool = option(
        "closed loop: a user waits as long as a Retry-After says, at most until the end", False
    )
    headers: tuple[Header, ...] = option(
        "a header of every request, 'Name: value'", (), flag="header", metavar="HEADER"
    )
    ca: File | None = option("certificates (PEM) that the service's certificate is checked with", metavar="FILE")
    insecure: bool = option("do not check the service's certificate", False)
    thresholds: tuple[ThresholdText, ...] = option(
        "such as 'p99<200ms', 'errors==0', 'p99{phase=spike}<500ms', 'replicas.max>=2', 'p99<2s abort=30s'",
        (),
        flag="threshold",
        metavar="T",
    )
    observe: Release | None = option("watch this release's autoscaler and pods", metavar="NAMESPACE/RELEASE")
    settle_seconds: Natural = option(
        "after the load, watch until the release is back at its minimum, but at most S", 0, metavar="S"
    )
    seed: Natural = option("of the random arrivals", 1, metavar="N")
    workers: Count | None = option("processes that send; by default one a core", metavar="N")
    dataset_size: Count = option(
        "images, or --rows, to send in turn, evenly spaced", 2000, metavar="N", targets=("classifier", "oip")
    )
    max_new_tokens: Count = option("tokens to ask for in each request", 40, metavar="N", targets=("lm", "openai"))
    model: str | None = option("the model's name in the request", metavar="NAME", targets=("openai", "oip"))
    body: File | None = option(
        "the body of each request; $name stands for a column of --rows", metavar="FILE", targets=("http",)
    )
    rows: File | None = option(
        "CSV file with a header: a request for each row, by the names of its columns",
        metavar="FILE",
        targets=("classifier", "http"),
    )

    @property
    def open_loop(self) -> bool:
        return self.rate is not None or self.trace is not None or any(phase.rate is not None for phase in self.phases)

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """The phases; a scenario without any has one, `load`."""
        if self.phases:
            return self.phases
        rate = (self.rate, self.rate) if self.rate is not None else None
        return (Phase(name="load", seconds=self.duration_seconds, rate=rate),)


FLAGS = {name: (field.json_schema_extra or {}).get("flag", name) for name, field in Scenario.model_fields.items()}  # type: ignore[union-attr]  # `option` passes a dict


def load(path: Path) -> dict[str, Any]:
    """Return the fields of a YAML file, not yet validated; raise ValueError if it is not a mapping, or too large."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text in UTF-8.") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}.") from None
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{path}: has more than {MOST_CHARACTERS:,} characters, the most there may be.")
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        raise ValueError(f"{path}:{f' line {mark.line + 1}:' if mark else ''} {safe(problem or str(error))}.") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a date such as 2026-99-99
        reason = "is nested too deeply" if isinstance(error, RecursionError) else safe(str(error))
        raise ValueError(f"{path}: {reason}.") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: must be a mapping of fields, such as `rate: 10`.")
    return {str(name): value for name, value in fields.items()}


def validate(file: Mapping[str, Any], flags: Mapping[str, Any], path: Path | None) -> tuple[Scenario | None, list[str]]:
    """Return the scenario of a file's fields, which flags override, and all mistakes, each at its field or flag."""
    fields = {**file, **flags}
    mistakes, wrong = [], set[str]()
    try:
        scenario = Scenario.model_validate(fields)
    except ValidationError as error:
        scenario = None
        for entry in error.errors():
            name = str(entry["loc"][0]) if entry["loc"] else ""
            wrong.add(name)
            mistakes.append(mistake(entry, name, flags, path))
        remaining = {name: value for name, value in fields.items() if name not in wrong and name in FLAGS}
    combined = combination_mistakes(scenario or Scenario.model_validate({"target": "classifier", **remaining}))
    return (None if combined else scenario), mistakes + combined


def combination_mistakes(scenario: Scenario) -> list[str]:
    """Return what is wrong with fields that are right one by one."""
    mistakes = []
    if scenario.rate is not None and scenario.phases:
        mistakes.append("--rate and phases: each phase has its own rate; remove one of the two.")
    if scenario.phases and "duration_seconds" in scenario.model_fields_set:
        mistakes.append("--duration-seconds and phases: each phase has its own length; remove one of the two.")
    if scenario.trace is not None and (scenario.rate is not None or scenario.phases):
        mistakes.append("--trace: has the arrivals of the whole run; remove rate and phases.")
    without = [phase.name for phase in scenario.phases if phase.rate is None]
    if without and len(without) < len(scenario.phases):
        mistakes.append(f"phases: {', '.join(without)} without a rate: either all phases have one or none.")
    arrivals = sum(phase.seconds * sum(phase.rate) / 2 for phase in scenario.all_phases if phase.rate)
    if arrivals > schedule.MOST_ARRIVALS:
        mistakes.append(
            f"rate and length: are {arrivals:,.0f} requests; at most {schedule.MOST_ARRIVALS:,} fit into memory."
        )
    most = WORKERS_PER_CORE * len(os.sched_getaffinity(0))
    if scenario.workers is not None and scenario.workers > most:
        mistakes.append(f"--workers {scenario.workers}: one a core is best; the most here are {most}.")
    names = [phase.name for phase in scenario.phases]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"phases: {', '.join(duplicates)} occurs more than once; name each differently.")
    if scenario.open_loop and scenario.concurrency is not None:
        mistakes.append("--concurrency: is for the closed loop; an open loop has --max-in-flight.")
    if scenario.open_loop and scenario.obey_retry_after:
        mistakes.append("--obey-retry-after: is for the closed loop; an open loop sends at the intended times.")
    phases = [phase.name for phase in scenario.all_phases]
    for text in scenario.thresholds:
        parsed = threshold_grammar.parse(text)
        if parsed.phase is not None and parsed.phase not in phases:
            mistakes.append(
                f"--threshold {text}: there is no phase {parsed.phase}; there are {', '.join(sorted(phases))}."
            )
        if parsed.metric in threshold_grammar.REPLICAS and scenario.observe is None:
            mistakes.append(f"--threshold {text}: needs --observe NAMESPACE/RELEASE.")
    if scenario.settle_seconds and scenario.observe is None:
        mistakes.append("--settle-seconds: needs --observe NAMESPACE/RELEASE.")
    if (scenario.insecure or scenario.ca is not None) and (scenario.url or "https:").startswith("http:"):
        mistakes.append(f"--{'insecure' if scenario.insecure else 'ca'}: is for https; the URL begins with http.")
    if scenario.insecure and scenario.ca is not None:
        mistakes.append("--insecure and --ca: the first checks no certificate; remove one of the two.")
    if scenario.target == "http":
        mistakes += [
            f"--{name}: the target http has no default; name it."
            for name in ("url", "body")
            if getattr(scenario, name) is None
        ]
    return mistakes


def _dashed(name: str) -> str:
    return str(FLAGS.get(name, name)).replace("_", "-")


def mistake(entry: Any, name: str, flags: Mapping[str, Any], path: Path | None = None) -> str:
    """Return an error of pydantic as a line: flag or field, value, rule. Secrets in the value are left out."""
    place = f"--{_dashed(name)}" if name in flags else f"{path}: {safe(name)}"
    if entry["type"] == "extra_forbidden" and len(entry["loc"]) == 1:
        return f"{place}: is not a field; there are {', '.join(Scenario.model_fields)}."
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in entry["loc"][1:])
    value = "" if entry["type"] == "missing" or name == "headers" else f" {_value_text(entry['input'])}"
    return f"{place}{safe(inner)}{value}: {rule(entry)}."


def _value_text(value: Any) -> str:
    """Return a value on one short line, without the user information of a URL."""
    # A YAML file of a few lines can hold lists that are gigabytes as text: reprlib does not follow them to the end.
    text = value if isinstance(value, str) else reprlib.repr(value)
    return safe(re.sub(r"(?<=//).*@|^[^/]*:[^/]*@", "", text))
