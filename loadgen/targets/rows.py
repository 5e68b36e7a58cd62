"""Reads the rows of a CSV file as JSON values: the kind of a column follows from all of its cells."""

import csv
import math
from pathlib import Path
from typing import Any

NOTHING = {"", "na", "nan", "null", "none", "<na>"}  # in lower case: a missing value, as `training register` reads it
BOOLEANS = {"true": True, "false": False}


def read(path: Path) -> list[dict[str, Any]]:
    """Return a dict by column for each row; a missing value is None.

    A column is numbers, or true and false, if all of its cells are; texts otherwise. Raises ValueError, which says what
    is wrong with the file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    except (OSError, csv.Error) as error:
        raise ValueError(f"is not a CSV that can be read ({error})") from None
    if len(lines) < 2:
        raise ValueError("has no rows below a header")
    header, *rows = lines
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"has several columns {repeated[0][:80]!r}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"has {len(row)} values in row {number}, and {len(header)} columns")
    columns = [_column(cells) for cells in zip(*rows, strict=True)]
    return [dict(zip(header, row, strict=True)) for row in zip(*columns, strict=True)]


def _column(cells: tuple[str, ...]) -> list[Any]:
    texts = [None if cell.strip().lower() in NOTHING else cell.strip() for cell in cells]
    for convert in (_boolean, _number):
        try:
            return [text if text is None else convert(text) for text in texts]
        except (KeyError, ValueError):
            continue
    return [*texts]


def _boolean(text: str) -> bool:
    return BOOLEANS[text.lower()]


def _number(text: str) -> float:
    """Return an int if `text` is one; raise ValueError unless it is a number that JSON has."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
