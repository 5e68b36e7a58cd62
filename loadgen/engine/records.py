"""The record of a request, 72 bytes on disk. Workers append records while the run lasts; statistics read columns."""

import json
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """How a request ended. Names in lower case are those of the JSON document."""

    OK = 0
    CONNECT = 1  # no connection, or no address
    TLS = 2
    TIMEOUT = 3
    RESET = 4  # the connection broke before the end of the answer
    HTTP = 5  # any status but 200
    INVALID = 6  # a 200 that violates the contract, or not HTTP
    STREAM = 7  # an error within a stream, after its 200
    DROPPED = 8  # due while `max_in_flight` requests were under way; never sent
    INTERRUPTED = 9  # cut off by a second signal
    LOCAL = 10  # an errno of this machine: the generator's limit, not the service's

    @property
    def label(self) -> str:
        return self.name.lower()


# Never charged to the service.
NOT_SERVICE = (Outcome.DROPPED, Outcome.INTERRUPTED, Outcome.LOCAL)

RECORD = np.dtype(
    [
        ("intended", "f8"),  # seconds from the start of the run, as all of the first four
        ("sent", "f8"),  # NaN if never sent. Connecting, where necessary, begins here
        ("first_byte", "f8"),  # NaN if none came
        ("end", "f8"),
        ("no_connection", "f4"),  # the part of sent - intended that was spent waiting for a free connection
        ("connecting", "f4"),  # the part of end - sent that was spent opening a connection; 0 on a kept one
        ("first_token", "f4"),  # seconds from `sent`; NaN but for streams
        ("retry_after", "f4"),  # seconds that a 429 or 503 asked to wait; NaN without
        ("sample", "i4"),  # index into the dataset, or -1
        ("tokens", "i4"),  # completion tokens, or -1
        ("request_id", "u4"),  # numbers of texts; 0 is None
        ("status", "u2"),  # 0 without an answer
        ("detail", "u2"),
        ("pod", "u2"),
        ("version", "u2"),
        ("outcome", "u1"),  # of Outcome
        ("stale", "u1"),  # 1 if it was sent twice, because the server had closed the kept connection
        ("correct", "i1"),  # 1, 0, or -1 where there is no label
        ("spare", "u1"),
    ]
)
GAP = np.dtype([("intended", "f8"), ("seconds", "f4")])  # one inter-token latency of a request
TICK = np.dtype(  # one second of a worker
    [
        ("second", "u4"),
        ("written", "u8"),  # records that were complete and on disk by then
        ("cpu", "f4"),  # seconds of CPU time used within the second
        ("length", "f4"),  # real length of the second
        ("in_flight", "u4"),  # at its end
        ("waiting", "u4"),  # for a free connection, at its end
        ("due", "u4"),
        ("started", "u4"),
        ("dropped", "u4"),
    ]
)


def paths(folder: Path, name: str) -> list[Path]:
    """Return the files of all workers with this name: "records", "gaps", "ticks" or "texts", by worker."""
    return sorted(folder.glob(f"{name}-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def read(path: Path, dtype: np.dtype = RECORD, start: int = 0, count: int = -1) -> NDArray[np.void]:
    """Return `count` complete rows of a file from row `start` on; the rest of a row cut off by a full disk is left."""
    rows = path.stat().st_size // dtype.itemsize - start
    return np.fromfile(path, dtype, min(rows, count) if count >= 0 else max(rows, 0), offset=start * dtype.itemsize)


def texts(folder: Path, worker: int) -> list[str | None]:
    """Return the texts of a worker by their number; number 0 is None."""
    path = folder / f"texts-{worker}"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [None, *(json.loads(line) for line in lines)]


def chunks(folder: Path, rows: int = 65_536) -> Iterator[tuple[int, NDArray[np.void]]]:
    """Yield (worker, records) in portions, so that a long run needs little memory."""
    for path in paths(folder, "records"):
        worker, start = int(path.name.rpartition("-")[2]), 0
        while len(records := read(path, RECORD, start, rows)):
            yield worker, records
            start += len(records)
