"""Writes the document of `--output`, with every request."""

import heapq
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from loadgen.engine.records import RECORD, lines, paths, read
from loadgen.engine.run import Recorded
from loadgen.targets.outcome import Outcome

CHUNK_ROWS = 2048


def write(file: BinaryIO, document: Mapping[str, Any], recorded: Recorded | None) -> None:
    """Write `document` with `requests`, one object a line, last. Raises OSError.

    A request's fields are those of RECORD, with texts instead of their numbers. Without `recorded`, `requests` is null.
    """
    file.write(json.dumps(document, indent=2, allow_nan=False)[:-2].encode())
    if recorded is None:
        file.write(b',\n  "requests": null\n}\n')
        return
    file.write(b',\n  "requests": [')
    separator = b"\n"
    for row in requests(recorded):
        file.write(separator + json.dumps(row).encode())
        separator = b",\n"
    file.write(b"\n  ]\n}\n")


def requests(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """Yield every request, in the order of their ends."""
    workers = paths(recorded.folder, "records")
    return heapq.merge(*(_requests(recorded.folder, worker) for worker in workers), key=lambda row: row["end"])


def _requests(folder: Path, worker: int) -> Iterator[dict[str, Any]]:
    texts, ids = ([None, *lines(folder / f"{name}-{worker}")] for name in ("texts", "ids"))
    start = 0
    while len(records := read(folder / f"records-{worker}", RECORD, start, CHUNK_ROWS)):
        start += len(records)
        for row in records.tolist():
            yield _request(dict(zip(RECORD.names or (), row, strict=True)), texts, ids)


def _request(row: dict[str, Any], texts: list[str | None], ids: list[str | None]) -> dict[str, Any]:
    return {
        "intended": round(row["intended"], 6),
        "sent": _seconds(row["sent"]),
        "first_byte": _seconds(row["first_byte"]),
        "end": round(row["end"], 6),
        "no_connection": _seconds(row["no_connection"]),
        "connecting": _seconds(row["connecting"]),
        "outcome": Outcome(row["outcome"]).label,
        "status": row["status"] or None,
        "detail": texts[row["detail"]],
        "stale": bool(row["stale"]),
        "retry_after": _seconds(row["retry_after"]),
        "served_by": texts[row["pod"]],
        "model_version": texts[row["version"]],
        "request_id": ids[row["request_id"]],
        "sample_index": _count(row["sample"]),
        "correct": None if row["correct"] < 0 else bool(row["correct"]),
        "completion_tokens": _count(row["tokens"]),
        "first_token": _seconds(row["first_token"]),
    }


def _seconds(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _count(value: int) -> int | None:
    return None if value < 0 else value
