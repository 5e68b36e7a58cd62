"""The columns of a run's records that statistics need: about 50 bytes a request."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.records import GAP, RECORD, Texts, chunks, paths, read
from loadgen.engine.run import Recorded
from loadgen.targets.outcome import NOT_SERVICE, Outcome

Column = NDArray[np.generic]


@dataclass
class Table:
    """Columns of equal length, as in RECORD; `phase` is an index into the plan's phases."""

    intended: NDArray[np.float64]
    sent: NDArray[np.float64]
    end: NDArray[np.float64]
    no_connection: NDArray[np.float32]
    first_token: NDArray[np.float32]
    retry_after: NDArray[np.float32]
    tokens: NDArray[np.int32]
    status: NDArray[np.uint16]
    detail: NDArray[np.uint16]
    pod: NDArray[np.uint16]
    version: NDArray[np.uint16]
    outcome: NDArray[np.uint8]
    stale: NDArray[np.uint8]
    correct: NDArray[np.int8]
    phase: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.intended)

    def part(self, rows: NDArray[np.bool_]) -> Self:
        """Return these rows."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def has(self, *outcomes: Outcome) -> NDArray[np.bool_]:
        """Return which rows ended so."""
        return np.isin(self.outcome, outcomes)

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        return self.has(Outcome.OK)

    @property
    def failed(self) -> NDArray[np.bool_]:
        return ~self.has(Outcome.OK, *NOT_SERVICE)

    def response(self, timeout_seconds: float) -> NDArray[np.float64]:
        """Return end - intended; at least the timeout unless it succeeded."""
        return self._at_least(self.end - self.intended, timeout_seconds)

    def service(self, timeout_seconds: float) -> NDArray[np.float64]:
        """Return end - sent, NaN where nothing was sent; at least the timeout unless it succeeded."""
        return self._at_least(self.end - self.sent, timeout_seconds)

    def _at_least(self, seconds: NDArray[np.float64], timeout_seconds: float) -> NDArray[np.float64]:
        np.maximum(seconds, timeout_seconds, out=seconds, where=~self.succeeded)
        return seconds


def load(recorded: Recorded) -> tuple[Table, list[str | None]]:
    """Return the table of a run, and the texts whose numbers it contains."""
    folder, texts = recorded.folder, Texts(recorded.folder)
    total = sum(path.stat().st_size // RECORD.itemsize for path in paths(folder, "records").values())
    names = [field.name for field in fields(Table) if field.name != "phase"]
    columns = {name: np.empty(total, RECORD[name]) for name in names}
    filled = 0
    for worker, records in chunks(folder):
        texts.number(worker, records)
        for name in names:
            columns[name][filled : filled + len(records)] = records[name]
        filled += len(records)
    return Table(**columns, phase=phase_of(columns["intended"], recorded)), texts.texts


def gaps(recorded: Recorded) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the phase and the seconds of each inter-token latency."""
    rows = np.concatenate([np.empty(0, GAP), *(read(path, GAP) for path in paths(recorded.folder, "gaps").values())])
    return phase_of(rows["intended"], recorded), rows["seconds"]


def phase_of(intended: NDArray[np.float64], recorded: Recorded) -> NDArray[np.uint8]:
    """Return the index of the phase in which each request was due."""
    starts = np.array(recorded.plan.starts)
    return np.clip(np.searchsorted(starts, intended, side="right") - 1, 0, None).astype(np.uint8)
