"""Follows the records of a run while they are written: the figures of each second, over all workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadgen.engine.plan import Plan
from loadgen.engine.records import RECORD, SHORTEST_TICK, Texts, paths, read
from loadgen.targets.outcome import NOT_SERVICE, Outcome

Row = tuple[float, ...]  # of TICK


@dataclass(frozen=True)
class Second:
    """One past second of the run, over all workers. Requests count in the second in which they ended.

    phase: "drain" after the last one.
    records: what ended within it (dtype RECORD), for thresholds over the run so far; `detail`, `pod` and `version`
    are numbers of `texts`, which only grows.
    response_seconds: p50, p90, p99 of the requests that ended, a failure counting as at least its timeout; None if
    none ended.
    cpu_share: of the busiest worker, of one core.
    """

    second: int
    phase: str
    due: int
    started: int
    succeeded: int
    failed: int
    dropped: int
    in_flight: int
    waiting: int
    response_seconds: Mapping[str, float] | None
    cpu_share: float
    records: NDArray[np.void]
    texts: list[str | None]


def response_seconds(records: NDArray[np.void], timeout_seconds: float) -> NDArray[np.float64]:
    """Return end - intended in seconds; a failure and a dropped request count as at least the timeout."""
    seconds: NDArray[np.float64] = records["end"] - records["intended"]
    return np.where(records["outcome"] == Outcome.OK, seconds, np.maximum(seconds, timeout_seconds))


class Follower:
    """Collects the ticks of all workers and calls `on_second` when every one of them has told of a second."""

    def __init__(self, plan: Plan, folder: Path, on_second: Callable[[Second], None]) -> None:
        self.ticks: list[Row] = []
        self._plan, self._folder, self._on_second = plan, folder, on_second
        self._texts = Texts(folder)
        self._last: dict[int, Row] = {}
        self._running = set(range(plan.workers))
        self._read: dict[int, int] = {}
        self._counted = np.zeros(3, np.int64)  # due, started, dropped so far
        self._second = 0

    def add(self, row: Row) -> None:
        self.ticks.append(row)
        self._last[int(row[0])] = row
        while self._running and all(self._told(worker) > self._second for worker in self._running):
            self._show()

    def remove(self, worker: int) -> None:
        """Note that a worker has ended."""
        self._running.discard(worker)

    def finish(self) -> None:
        """Show what came after the last full second."""
        if any(self._told(worker) > self._second for worker in self._last):
            self._show()

    def _told(self, worker: int) -> int:
        """Return the seconds that a worker has told of."""
        return int(self._last[worker][1]) + 1 if worker in self._last else 0

    def _show(self) -> None:
        rows, number = list(self._last.values()), self._second
        counted = np.array([[row[index] for index in (7, 8, 9)] for row in rows], np.int64).sum(0)
        due, started, dropped = (counted - self._counted).tolist()
        self._counted, self._second = counted, max(number + 1, min(map(self._told, self._running), default=0))
        records = self._new_records()
        judged = records[~np.isin(records["outcome"], (Outcome.INTERRUPTED, Outcome.LOCAL))]
        succeeded = int((records["outcome"] == Outcome.OK).sum())
        self._on_second(
            Second(
                second=number,
                phase=self._phase(number),
                due=due,
                started=started,
                succeeded=succeeded,
                failed=int((~np.isin(records["outcome"], (Outcome.OK, *NOT_SERVICE))).sum()),
                dropped=dropped,
                in_flight=sum(int(row[5]) for row in rows),
                waiting=sum(int(row[6]) for row in rows),
                response_seconds=_percentiles(response_seconds(judged, self._plan.timeout_seconds)),
                cpu_share=max(row[3] / row[4] if row[4] >= SHORTEST_TICK else 0.0 for row in rows),
                records=records,
                texts=self._texts.texts,
            )
        )

    def _phase(self, second: int) -> str:
        names = [
            phase.name for phase, start in zip(self._plan.phases, self._plan.starts, strict=True) if start <= second
        ]
        return "drain" if second >= self._plan.seconds else names[-1]

    def _new_records(self) -> NDArray[np.void]:
        parts = [np.empty(0, RECORD)]
        for worker, path in paths(self._folder, "records").items():
            start = self._read.get(worker, 0)
            records = read(path, RECORD, start, int(self._last[worker][2]) - start if worker in self._last else 0)
            self._read[worker] = start + len(records)
            parts.append(self._texts.number(worker, records))
        return np.concatenate(parts)


def _percentiles(seconds: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(seconds):
        return None
    values = np.quantile(seconds, (0.5, 0.9, 0.99), method="inverted_cdf")
    return dict(zip(("p50", "p90", "p99"), values.tolist(), strict=True))
