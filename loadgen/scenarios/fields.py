"""The kinds of values of a scenario: each converts text or a number, or tells the rule that it breaks."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from loadgen.scenarios import schedule, thresholds

MOST_SECONDS = 30 * 24 * 3600
MOST_RATE = 1_000_000
RULES = {  # by pydantic's type of error, where its words are those of Python
    "missing": "is missing",
    "model_type": "must be a mapping",
    "extra_forbidden": "is not known here",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


def checked(convert: Callable[[Any], Any], rule: str) -> BeforeValidator:
    """Validate with `convert`, which raises ValueError for a value that breaks `rule`, or RuleError with its own."""

    def check(value: Any) -> Any:
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError) as error:
            own = str(error) if isinstance(error, RuleError) else rule
            raise PydanticCustomError("rule", "{rule}", {"rule": own}) from None

    return BeforeValidator(check)


class RuleError(ValueError):
    """A mistake whose text is the rule to show."""


def rule(entry: Any) -> str:
    """Return the rule that an error of pydantic tells, as the end of a sentence about the value."""
    return RULES.get(entry["type"], str(entry["msg"]).replace("Input should", "must"))


def number(minimum: float, maximum: float = math.inf, *, whole: bool) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        number = float(value)
        if isinstance(value, bool) or not math.isfinite(number) or not minimum <= number <= maximum:
            raise ValueError
        if whole and number % 1:
            raise ValueError
        if whole and isinstance(value, str):
            return int(value)  # no "1e3" or "2.0" for a count
        return int(number) if whole else number

    return convert


def connections(value: Any) -> float | str:
    if value in ("fresh", "kept"):
        return str(value)
    if isinstance(value, int | float) and value > 0:
        return float(value)  # as a document holds it
    if (match := re.fullmatch(r"renew:(\d+(?:\.\d+)?)s", str(value))) and float(match[1]) > 0:
        return float(match[1])
    raise ValueError


def url(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError
    parts.hostname.encode("idna")  # a label that is empty or over 63 characters is a UnicodeError, never resolved
    return str(value)


def header(value: Any) -> str:
    name, colon, content = str(value).partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\r\n\0]", content):
        raise ValueError
    return f"{name}: {content.strip()}"


def release(value: Any) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?", str(value)):
        raise ValueError
    return str(value)


def readable_file(value: Any) -> Path:
    path = Path(value)
    if not path.is_file():
        raise RuleError("is not a file")
    return path


def trace(value: Any) -> Path:
    path = readable_file(value)
    try:
        end = schedule.read_trace(path)[-1]
    except ValueError as error:
        raise RuleError(str(error)) from None
    if end > MOST_SECONDS:
        raise RuleError(f"lasts {end:.3g} s; the most are {MOST_SECONDS:,}, which is 30 days")
    return path


def rates(value: Any) -> tuple[float, float]:
    """Return the rate at the begin and the end of a phase, from a number, a pair, or "10" or "10-50"."""
    pair = value.split("-") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    first, last = (pair[0], pair[-1]) if len(pair) <= 2 else (None, None)
    convert = number(0, MOST_RATE, whole=False)
    return convert(first), convert(last)


def threshold(value: Any) -> str:
    try:
        thresholds.parse(str(value))
    except ValueError as error:
        raise RuleError(str(error)) from None
    return str(value)


Seconds = Annotated[
    float,
    checked(number(0.001, MOST_SECONDS, whole=False), "must be seconds from 0.001 to 2,592,000 (30 days)"),
]
Count = Annotated[int, checked(number(1, whole=True), "must be a whole number, at least 1")]
Natural = Annotated[int, checked(number(0, whole=True), "must be a whole number, at least 0")]
Rate = Annotated[
    float, checked(number(0.001, MOST_RATE, whole=False), "must be requests a second from 0.001 to 1,000,000")
]
Rates = Annotated[tuple[float, float], checked(rates, "must be requests a second up to 1,000,000: 10, or 10-50")]
Connections = Annotated[
    Literal["fresh", "kept"] | float, checked(connections, "must be fresh, kept or a time to renewal such as renew:5s")
]
Url = Annotated[str, checked(url, "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH")]
Header = Annotated[str, checked(header, "must be 'Name: value'")]
Release = Annotated[str, checked(release, "must be NAMESPACE/RELEASE, such as default/classifier")]
Trace = Annotated[Path, checked(trace, "must be a file")]
File = Annotated[Path, checked(readable_file, "must be a file")]
ThresholdText = Annotated[str, checked(threshold, thresholds.RULE)]
