"""The record of a request, 72 bytes on disk. Workers append records while the run lasts; statistics read columns."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        ("request_id", "u4"),  # number in the worker's file of ids; 0 is None
        ("status", "u2"),  # 0 without an answer
        ("detail", "u2"),  # this and the next two: numbers of texts; 0 is None
        ("pod", "u2"),
        ("version", "u2"),
        ("outcome", "u1"),  # of Outcome
        ("stale", "u1"),  # 1 if it was sent twice, because the server had closed the kept connection
        ("correct", "i1"),  # 1, 0, or -1 where there is no label
        ("spare", "u1"),
    ]
)
SHORTEST_TICK = 0.5  # seconds: the CPU share of a shorter one says little
GAP = np.dtype([("intended", "f8"), ("seconds", "f4")])  # one inter-token latency of a request
TICK = np.dtype(  # one second of a worker
    [
        ("worker", "u4"),
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


def paths(folder: Path, name: str) -> dict[int, Path]:
    """Return the files of all workers with this name ("records", "gaps", "texts" or "ids"), by worker."""
    numbers = sorted(int(path.name.rpartition("-")[2]) for path in folder.glob(f"{name}-*"))
    return {number: folder / f"{name}-{number}" for number in numbers}


def read(path: Path, dtype: np.dtype = RECORD, start: int = 0, count: int | None = None) -> NDArray[np.void]:
    """Return `count` complete rows of a file from row `start` on; the rest of a row cut off by a full disk is left."""
    rows = max(path.stat().st_size // dtype.itemsize - start, 0)
    return np.fromfile(path, dtype, rows if count is None else min(rows, count), offset=start * dtype.itemsize)


def chunks(folder: Path, rows: int = 65_536) -> Iterator[tuple[int, NDArray[np.void]]]:
    """Yield (worker, records) in portions, so that a long run needs little memory."""
    for worker, path in paths(folder, "records").items():
        start = 0
        while len(records := read(path, RECORD, start, rows)):
            yield worker, records
            start += len(records)


def lines(path: Path) -> list[str]:
    """Return the texts of a file of texts or ids; those of a line cut off by a full disk are left out."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


class Texts:
    """The texts of all workers under common numbers; number 0 is None. Workers number their own texts by themselves."""

    def __init__(self, folder: Path) -> None:
        self.texts: list[str | None] = [None]
        self._folder = folder
        self._numbers: dict[str | None, int] = {None: 0}
        self._offsets: dict[int, int] = {}
        self._common: dict[int, NDArray[np.uint16]] = {}

    def number(self, worker: int, records: NDArray[np.void]) -> NDArray[np.void]:
        """Replace the worker's numbers in `records` by the common ones, reading what texts it has added."""
        self._read(worker)
        common = self._common[worker]
        for name in ("detail", "pod", "version"):
            records[name] = common[records[name]]
        return records

    def _read(self, worker: int) -> None:
        known = self._common.setdefault(worker, np.zeros(1, np.uint16))
        with (self._folder / f"texts-{worker}").open("rb") as file:
            file.seek(self._offsets.get(worker, 0))
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        if complete:
            self._offsets[worker] = self._offsets.get(worker, 0) + len(complete)
            numbers = [self._number(json.loads(line)) for line in complete.split(b"\n")[:-1]]
            self._common[worker] = np.concatenate([known, np.array(numbers, np.uint16)])

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]
