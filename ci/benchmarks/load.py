"""Sends load to a server on 127.0.0.1 with loadgen's client, which takes little CPU time from it."""

import asyncio
import functools
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from loadgen.client.ask import ask
from loadgen.engine.plan import Phase, Plan
from loadgen.engine.run import run
from loadgen.scenarios.schedule import Segment, arrivals
from loadgen.statistics.percentiles import nearest_rank
from loadgen.statistics.table import load
from loadgen.targets.answers import parsed
from loadgen.targets.target import InvalidAnswer, Reading, Sample, Target

TIMEOUT_SECONDS = 60.0  # for one response
MAX_IN_FLIGHT = 10_000


@dataclass(frozen=True)
class Probes(Target):
    """Images with their labels. At `place` in an answer's JSON is the label or, with `classes`, their probabilities."""

    place: tuple[str | int, ...] = ()
    classes: tuple[str, ...] = ()

    def read(self, body: bytes, sample: Sample) -> Reading:
        try:
            content: Any = functools.reduce(lambda value, key: value[key], self.place, parsed(body))
            label = self.classes[content.index(max(content))] if self.classes else content
        except (LookupError, TypeError, ValueError, AttributeError):
            raise InvalidAnswer("wrong answer") from None
        if label != sample.label:
            raise InvalidAnswer("wrong answer")
        return Reading()


def probes(
    path: str,
    contents: Sequence[object],
    labels: Sequence[str],
    place: tuple[str | int, ...],
    classes: Sequence[str] = (),
) -> Probes:
    """Return a target that sends each content as JSON, in turn, and expects its label."""
    bodies = [json.dumps(content, separators=(",", ":")).encode() for content in contents]
    samples = tuple(Sample(body, label=label) for body, label in zip(bodies, labels, strict=True))
    return Probes("probes", path, samples, place=place, classes=tuple(classes))


@dataclass
class LoadResult:
    """Latencies in seconds of the correct responses, and the number of all others by their cause."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, other: "LoadResult") -> None:
        """Add a later result of the same load."""
        self.seconds += other.seconds
        self.latencies += other.latencies
        self.failures += other.failures

    @property
    def rate(self) -> float:
        """Correct responses a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        """Latency in seconds; infinity without a correct response."""
        return nearest_rank(self.latencies, percent)


def closed_loop(target: Target, port: int, connections: int, seconds: float) -> LoadResult:
    """Keep `connections` requests in flight: each connection sends again as soon as it has its response."""
    return _result(_plan(target, port, seconds, concurrency=connections))


def open_loop(target: Target, port: int, rate: float, seconds: float) -> LoadResult:
    """Send `rate` requests a second without waiting for responses: arrivals of a Poisson process."""
    due = arrivals([Segment(seconds, rate, rate)], np.random.default_rng(1))
    return _result(_plan(target, port, seconds, arrivals=due, concurrency=MAX_IN_FLIGHT, max_in_flight=MAX_IN_FLIGHT))


def responds(target: Target, port: int) -> bool:
    """Whether one request gets a correct response now."""
    one = replace(target, samples=target.samples[:1])
    (exchange,) = asyncio.run(ask(one, _url(port), TIMEOUT_SECONDS))
    return not exchange.outcome


def _plan(target: Target, port: int, seconds: float, **settings: Any) -> Plan:
    phases = (Phase("load", seconds),)
    return Plan(
        target=target,
        url=_url(port),
        phases=phases,
        connections="kept",
        timeout_seconds=TIMEOUT_SECONDS,
        **settings,
    )


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _result(plan: Plan) -> LoadResult:
    with tempfile.TemporaryDirectory() as folder:
        recorded = run(plan, Path(folder))
        table, texts = load(recorded)
    failures = Counter(str(texts[detail]) for detail in table.detail[~table.succeeded])
    latencies = (table.end - table.intended)[table.succeeded].tolist()
    return LoadResult(recorded.sending_seconds, latencies, failures)
