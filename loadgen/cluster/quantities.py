"""Reads the API's texts for amounts, durations and times."""

import re
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _decimal(quantity: str) -> Decimal:
    match = QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a quantity of Kubernetes, such as 250m, 0.5 or 1Gi")
    number, exponent, suffix = match.groups()
    if exponent:
        return Decimal(number).scaleb(int(exponent[1:]))
    if suffix in BINARY:
        return Decimal(number) * Decimal(1024 ** BINARY[suffix])
    return Decimal(number).scaleb(DECIMAL[suffix or ""])


def nano(quantity: str) -> int:
    """Nanocores, rounded up."""
    return int(_decimal(quantity).scaleb(9).to_integral_value(ROUND_CEILING))


def milli(quantity: str) -> int:
    """Millicores, rounded up, as `MilliValue` of Kubernetes does."""
    return int(_decimal(quantity).scaleb(3).to_integral_value(ROUND_CEILING))


def number(quantity: str) -> float:
    """The value as a float, by the arithmetic of `AsApproximateFloat64` of Kubernetes: digits times a power of ten."""
    value = _decimal(quantity)
    if value == value.to_integral_value():
        return float(int(value))
    _, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    return int("".join(map(str, digits))) * float(f"1e{exponent}")


def duration(text: str) -> float:
    """Seconds of a duration in Go's form, such as 15.462s or 5m0s."""
    parts = DURATION.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration of Go, such as 15.462s or 5m0s")
    return sum(float(value) * SECONDS[unit] for value, unit in parts)


def epoch(text: str) -> float:
    """Seconds since 1970 of a time in the API's form, such as 2026-11-26T07:59:00Z."""
    return datetime.fromisoformat(text).timestamp()
