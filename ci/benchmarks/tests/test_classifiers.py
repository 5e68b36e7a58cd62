"""The order and the figures of the loads that `ci/bench serving` sends to a server."""

from collections import Counter
from collections.abc import Iterator

import pytest

from ci.benchmarks import classifiers, load
from ci.benchmarks.load import LoadResult


class Machine:
    """Answers `speeds` requests a second: another speed in each round, which starts with one connection.

    In the loop with eight connections it seems to be a fifth faster.
    """

    def __init__(self, speeds: Iterator[int]) -> None:
        self.speeds, self.speed, self.used = speeds, 100, 0.0
        self.open_rates: list[float] = []

    def closed_loop(self, target, port, connections, seconds) -> LoadResult:
        if connections == 1:
            self.speed = next(self.speeds)
        self.used += seconds
        speed = 1.2 * self.speed if connections == 8 else self.speed
        return LoadResult(seconds, [1 / speed] * int(seconds * speed))

    def open_loop(self, target, port, rate, seconds) -> LoadResult:
        self.open_rates.append(rate)
        return LoadResult(seconds, [2 / self.speed] * int(seconds * rate), Counter(refused=1))

    def cpu_seconds(self) -> float:
        return self.used


def test_each_open_loop_goes_by_its_own_rounds_rate_with_most_connections(monkeypatch):
    machine = Machine(iter([100, 50, 100]))
    monkeypatch.setattr(load, "closed_loop", machine.closed_loop)
    monkeypatch.setattr(load, "open_loop", machine.open_loop)
    figures, failures = classifiers._load(None, 0, machine)  # type: ignore[arg-type]  # a target is not used
    assert machine.open_rates == [50, 90, 25, 45, 50, 90]
    assert figures["closed_64_rate"] == pytest.approx(250 / 3)
    assert (figures["open_90_p50"], figures["open_90_p99"]) == (20, 40)
    assert figures["cpu_milliseconds"] == pytest.approx(1000 * 3 / 300)
    assert failures == {"refused": 6}
