"""Writes the document where `--output` points, with every request."""

import contextlib
import heapq
import json
import math
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from loadgen.engine.records import RECORD, lines, paths, read
from loadgen.engine.run import Recorded
from loadgen.outcome import Outcome

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTOR = re.compile(r"/dev/stdout|/dev/stderr|/(?:dev|proc/self)/fd/(\d+)")
CHUNK_ROWS = 2048


def write(output: str, document: Mapping[str, Any], recorded: Recorded) -> None:
    """Write `document` with `requests`, one object a line, last. Raises OSError.

    "-" is standard output; links are followed; a regular file is replaced atomically, anything else (device, FIFO)
    is written through. A request's fields are those of RECORD, with texts instead of their numbers.
    """
    with _opened(output) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False)[:-2].encode())
        file.write(b',\n  "requests": [')
        separator = b"\n"
        for row in requests(recorded):
            file.write(separator + json.dumps(row).encode())
            separator = b",\n"
        file.write(b"\n  ]\n}\n")
        file.flush()


def mistakes(output: str) -> list[str]:
    """Return why `output` cannot be written, in words; nothing is changed."""
    if output == "-":
        return []
    path = Path(os.path.realpath(output))
    if path.is_dir():
        return ["is a folder; name a file."]
    if path.exists() and not os.access(path, os.W_OK):
        return ["is not writable; name another file."]
    if not path.parent.is_dir() and not path.exists():
        return [f"there is no folder {path.parent}; create it first."]
    if not path.exists() and not os.access(path.parent, os.W_OK):
        return [f"the folder {path.parent} is not writable; name another."]
    return []


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


@contextlib.contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
    elif descriptor := DESCRIPTOR.fullmatch(os.path.abspath(output)):
        # Opened anew, a file that the shell has redirected to would be written from its start.
        with open(os.dup(STANDARD.get(descriptor[0]) or int(descriptor[1])), "wb") as file:
            yield file
    elif _through(output):
        with open(os.open(output, os.O_WRONLY | os.O_APPEND), "wb") as file:
            yield file
    else:
        with _replaced(Path(os.path.realpath(output))) as file:
            yield file


def _through(output: str) -> bool:
    """Whether to write into what is there: a device, a FIFO, a socket."""
    try:
        return not stat.S_ISREG(os.stat(output).st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Replace a regular file when the new one is complete; keep its permissions."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    number, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "wb") as file:
            os.fchmod(number, mode)
            yield file
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
