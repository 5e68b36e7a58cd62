"""Forecasts how the autoscaler would act: its own algorithm, on a fluid model of the service.

When metrics-server measures and when the autoscaler syncs is chance, so each forecast draws the phases of both, and the
start of each pod, many times, and gives the 10th, 50th and 90th percentiles.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadgen.autoscaler import decision, proposal
from loadgen.autoscaler.decision import Entry, History
from loadgen.autoscaler.fit import Load, Model
from loadgen.autoscaler.proposal import MetricsUnavailable, PodState, Sample
from loadgen.cluster.observation import Hpa

DRAWS = 200
SYNC_LATENESS_SECONDS = 0.02  # a period is longer by as long as a sync takes
FIRST_SAMPLE_SECONDS = 10.0  # metrics-server gives a younger container none
BEFORE = -1000.0  # pods of the start are older than any window

Band = tuple[float, float, float]  # percentiles 10, 50 and 90


class Forecast(BaseModel):
    """What one HPA would do with one load. Bands are percentiles 10, 50 and 90 over the draws.

    `replicas`: set by the HPA, a band for each second. `first_change`: seconds until the first change, None if most
    draws have none. `most`: replicas at the most. `replica_seconds`: their sum over time. `short_seconds`: seconds in
    which the demand exceeded what the ready pods can do. `wait_seconds`: the longest wait on top of the service time.
    `answered`: requests answered within the load's time.
    """

    model_config = ConfigDict(frozen=True)

    replicas: tuple[Band, ...]
    first_change: Band | None
    most: Band
    replica_seconds: Band
    short_seconds: Band
    wait_seconds: Band
    answered: Band


@dataclass
class _Pod:
    name: str
    created: float
    ready_at: float
    idle_milli: float
    used: list[float] = field(default_factory=lambda: [0.0])  # millicore-seconds since created, each second
    sample: Sample | None = None

    def usage(self, start: float, end: float) -> float:
        """Millicores on average between two times; before the start of the run the pods were idle."""
        origin = max(self.created, 0.0)

        def until(t: float) -> float:
            place = t - origin
            if place <= 0:
                return place * self.idle_milli
            whole = min(int(place), len(self.used) - 1)
            following = self.used[min(whole + 1, len(self.used) - 1)]
            return self.used[whole] + (following - self.used[whole]) * min(1.0, place - whole)

        return (until(end) - until(start)) / (end - start)


@dataclass
class _Draw:
    """One course of the load, with the phases and the starts of pods as `rng` draws them."""

    model: Model
    load: Load
    hpa: Hpa
    seconds: int
    rng: random.Random
    pods: list[_Pod] = field(default_factory=list)
    history: History = field(default_factory=History)
    replicas: list[int] = field(default_factory=list)
    short: int = 0
    longest_wait: float = 0.0
    answered: float = 0.0
    backlog: float = 0.0

    def run(self) -> "_Draw":
        model = self.model
        self.pods = [_Pod(f"initial-{n}", BEFORE, BEFORE, model.idle_milli) for n in range(model.replicas)]
        self.history = History(recommendations=(Entry(BEFORE, model.replicas),))
        period = model.controller.sync_seconds + SYNC_LATENESS_SECONDS
        scrape, sync = self.rng.uniform(0, model.metrics_seconds), self.rng.uniform(0, period)
        self._scrape(0.0)
        for second in range(self.seconds):
            while min(scrape, sync) < second:
                if scrape <= sync:
                    self._scrape(scrape)
                    scrape += model.metrics_seconds
                else:
                    self._sync(sync)
                    sync += period
            self.replicas.append(len(self.pods))
            self._serve(second)
        return self

    def _serve(self, second: int) -> None:
        model, load = self.model, self.load
        ready = [pod for pod in self.pods if pod.ready_at + model.serving_seconds <= second]
        capacity = len(ready) * model.pod_rate
        if model.total_milli is not None:
            others = len(self.pods) - len(ready)
            free = model.total_milli - others * model.startup_milli - len(ready) * model.idle_milli
            capacity = min(capacity, max(0.0, free) / model.cost)
        if load.users:
            users = load.users[second] if second < load.seconds else 0
            demand = users / model.service_seconds
            served = min(demand, capacity)
            wait = users / served - model.service_seconds if served else 0.0  # Little's law
        else:
            demand = self.backlog + (load.rates[second] if second < load.seconds else 0.0)
            served = min(demand, capacity)
            self.backlog = demand - served
            wait = self.backlog / capacity if capacity else 0.0
        self.longest_wait = max(self.longest_wait, wait)
        self.short += demand > capacity
        self.answered += served
        working = {pod.name for pod in ready}
        for pod in self.pods:
            busy = model.idle_milli + model.cost * served / len(ready) if pod.name in working else None
            starting = model.idle_milli if pod.ready_at <= second else model.startup_milli
            pod.used.append(pod.used[-1] + (starting if busy is None else busy))

    def _scrape(self, t: float) -> None:
        for pod in self.pods:
            age, window = self.rng.choice(self.model.samples)
            timestamp = t - age
            start = max(timestamp - window, pod.created)
            if timestamp - pod.created >= FIRST_SAMPLE_SECONDS and (not pod.sample or timestamp > pod.sample.timestamp):
                pod.sample = Sample(ceil(pod.usage(start, timestamp)), timestamp, timestamp - start)

    def _sync(self, t: float) -> None:
        model, hpa, current = self.model, self.hpa, len(self.pods)
        pods, target = [self._state(pod, t) for pod in self.pods], hpa.target_utilization or 100
        proposed: int | None = None
        with suppress(MetricsUnavailable):
            proposed = proposal.propose(pods, current, target, t, hpa.behavior, model.controller).replicas
        made = decision.decide(proposed, current, hpa.min, hpa.max, hpa.behavior, model.controller, self.history, t)
        self.history = made.history
        for number in range(made.desired - current):
            ready_at = t + self.rng.choice(model.startup_seconds)
            self.pods.append(_Pod(f"{t:.0f}-{number}", t, ready_at, model.idle_milli))
        del self.pods[made.desired :]  # the newest go first

    def _state(self, pod: _Pod, t: float) -> PodState:
        return PodState(
            name=pod.name,
            phase="Pending" if t < pod.created + self.model.pending_seconds else "Running",
            request_milli=self.model.request_milli,
            start_time=float(int(pod.created)),
            ready=pod.ready_at <= t,
            ready_since=float(int(pod.ready_at if pod.ready_at <= t else pod.created)),
            sample=pod.sample,
        )


def simulate(
    model: Model, load: Load, hpa: Hpa | None = None, *, seconds: int | None = None, draws: int = DRAWS, seed: int = 0
) -> Forecast:
    """The forecast for a load under an HPA, by default that of the measured run, over `seconds` (the load's time)."""
    hpa, seconds = hpa or model.hpa, seconds or load.seconds
    runs = [_Draw(model, load, hpa, seconds, random.Random(f"{seed}/{n}")).run() for n in range(draws)]
    courses = np.asarray([run.replicas for run in runs])
    changes = [next((s for s, n in enumerate(run.replicas) if n != run.replicas[0]), None) for run in runs]
    happened = [float(change) for change in changes if change is not None]
    return Forecast(
        replicas=tuple(_band(courses[:, second]) for second in range(seconds)),
        first_change=_band(happened) if len(happened) > draws / 2 else None,
        most=_band(courses.max(axis=1)),
        replica_seconds=_band(courses.sum(axis=1)),
        short_seconds=_band([run.short for run in runs]),
        wait_seconds=_band([run.longest_wait for run in runs]),
        answered=_band([run.answered for run in runs]),
    )


def _band(values: Any) -> Band:
    low, middle, high = (round(float(value), 2) for value in np.percentile(values, [10, 50, 90]))
    return low, middle, high


class Need(BaseModel):
    """What a multiple of the load needs: `pods` to hold the target, `pods_at_limit` to answer it at all.

    `seconds` is the least in which the HPA reaches `pods` from one, by its policies and because a pod cannot use more
    than its limit, with `maxReplicas` out of the way; the start of the last pods comes on top. None if it never does.
    """

    model_config = ConfigDict(frozen=True)

    factor: float
    rate: float
    pods: int
    pods_at_limit: int
    requested_cores: float
    seconds: float | None


def needs(
    model: Model, rate: float, factors: Sequence[float] = (1, 10, 100, 1000), hpa: Hpa | None = None
) -> list[Need]:
    """What `rate` requests a second, and multiples of it, need in a steady state."""
    hpa = hpa or model.hpa
    spare = model.request_milli * (hpa.target_utilization or 100) / 100 - model.idle_milli
    result = []
    for factor in factors:
        pods = max(hpa.min, ceil(factor * rate * model.cost / spare)) if spare > 0 else 0
        at_limit = ceil(factor * rate / model.pod_rate) if model.pod_rate else 0
        result.append(
            Need(
                factor=factor,
                rate=factor * rate,
                pods=pods,
                pods_at_limit=at_limit,
                requested_cores=pods * model.request_milli / 1000,
                seconds=_seconds_to(model, hpa, pods),
            )
        )
    return result


def _seconds_to(model: Model, hpa: Hpa, pods: int, patience: int = 200) -> float | None:
    """The decisions of one sync after the other, each with all pods as busy as they can be."""
    current, history = hpa.min, History(recommendations=(Entry(BEFORE, hpa.min),))
    top = float("inf") if model.limit_milli is None else 100 * model.limit_milli // model.request_milli
    for sync in range(patience):
        if current >= pods:
            return sync * model.controller.sync_seconds
        proposed = pods if top == float("inf") else min(pods, ceil(current * top / (hpa.target_utilization or 100)))
        now = sync * (model.controller.sync_seconds + SYNC_LATENESS_SECONDS)
        made = decision.decide(proposed, current, hpa.min, pods, hpa.behavior, model.controller, history, now)
        current, history = made.desired, made.history
    return None
