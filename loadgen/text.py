"""Numbers and foreign text as a person reads them."""

import unicodedata

LENGTH = 120


def safe(text: str, length: int = LENGTH) -> str:
    """Return text from elsewhere on one line, shortened, with every character escaped that a terminal could act on."""
    shortened = text if len(text) <= length else f"{text[: length - 1]}…"
    return "".join(
        # C: control, format (bidirectional overrides, zero width), surrogate, private use; Z: separators but the space.
        character if character == " " or unicodedata.category(character)[0] not in "CZ" else ascii(character)[1:-1]
        for character in shortened
    )


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate(per_second: float) -> str:
    return f"{per_second:,.1f}" if per_second >= 10 else f"{per_second:.2f}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds >= 0.9995:  # not "1000 ms"
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def error_name(outcome: str, status: int | None, detail: str | None) -> str:
    names = {"http": f"HTTP {status}", "invalid": "invalid answer", "reset": "connection reset"}
    names |= {"connect": "no connection", "tls": "TLS", "stream": "error within the stream", "local": "this machine"}
    name = names.get(outcome, outcome)
    return f"{name}: {safe(detail)}" if detail else name
