"""Fits a fluid model of a service to a measured run: the cost of a request, and how pods start.

A fluid model knows rates, not requests: each second, the ready pods share the demand evenly, up to their capacity.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, inf
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from loadgen.autoscaler import smoothing
from loadgen.cluster.observation import Controller, Hpa, Observation, Pod, Sample

DEFAULT_STARTUP_SECONDS = 20.0
DEFAULT_SAMPLE = (8.0, 15.0)
METRICS_SECONDS = 15.0  # metrics-server's default
BUSY_SHARE = 0.9  # of the limits: pods that use more have all they may
SPARE_SHARE = 0.75  # of what pods can get: those that use less have CPU to spare


class Unfit(Exception):
    """The run does not tell what the model needs; the text says what is missing."""


class Load(BaseModel):
    """Demand, second by second: `rates`, in requests a second, of an open loop, or `users` of a closed loop."""

    model_config = ConfigDict(frozen=True)

    rates: tuple[float, ...] = ()
    users: tuple[int, ...] = ()

    @property
    def seconds(self) -> int:
        return len(self.rates or self.users)


class Model(BaseModel):
    """A service as a fluid. CPU is in millicores, a request's cost in millicores times seconds.

    `total_milli`: what all pods together have got at most, where that was less than their limits; None otherwise.
    `startup_seconds`: from a pod's creation until it was ready, for each pod seen. `pending_seconds`: from its creation
    until its container ran. `serving_seconds`: from ready until its first answer. `service_seconds`: of an answer while
    CPU is to spare. `samples`: (age when first seen, window) of metrics-server's samples. `residual_milli`: root mean
    square of what the regression leaves.
    `assumed` lists what the run did not show.
    """

    model_config = ConfigDict(frozen=True)

    cost: float
    idle_milli: float
    residual_milli: float
    request_milli: int
    limit_milli: int | None
    total_milli: float | None
    startup_seconds: tuple[float, ...]
    startup_milli: float
    pending_seconds: float
    serving_seconds: float
    service_seconds: float
    samples: tuple[tuple[float, float], ...]
    metrics_seconds: float
    controller: Controller
    hpa: Hpa
    replicas: int
    assumed: tuple[str, ...]

    @property
    def pod_rate(self) -> float:
        """Requests a second that a pod can answer; infinite without a CPU limit."""
        return float("inf") if self.limit_milli is None else max(0.0, self.limit_milli - self.idle_milli) / self.cost


def load_of(document: Mapping[str, Any]) -> Load:
    """The load of a measured run: what was due each second, or how many users waited for answers."""
    timeline = document["timeline"]
    if document["summary"]["longest_silence_seconds"] is None:
        return Load(rates=tuple(float(due) for due in timeline["due"]))
    users = max(count or 0 for count in timeline["in_flight"])
    return Load(users=tuple(0 if phase == "drain" else users for phase in timeline["phase"]))


def fit(document: Mapping[str, Any]) -> Model:
    """The model of a run's document. Raises Unfit."""
    if not document.get("cluster"):
        raise Unfit("the run was not observed: repeat it with --observe NAMESPACE/RELEASE")
    observation = Observation.model_validate(document["cluster"])
    if not observation.hpa or not observation.pods:
        raise Unfit("the run saw no HorizontalPodAutoscaler or no pods")
    request, limit = observation.pods[0].request_milli, observation.pods[0].limit_milli
    if not request:
        raise Unfit("the pods have no CPU request, so there is no utilization to scale on")
    timeline, assumed = document["timeline"], []
    cost, idle, residual = _regression(observation, _answers(document, observation))
    total = _ceiling(observation, limit, timeline)
    spare = _spare(observation, sum(phase != "drain" for phase in timeline["phase"]), limit, total)
    new = [pod for pod in observation.pods if pod.phase and pod.phase[0][0] > observation.hpa[0].t + 1]
    startups = tuple(ready - pod.phase[0][0] for pod in new if (ready := _ready_at(pod)) is not None)
    if not startups:
        assumed.append(f"that a new pod is ready after {DEFAULT_STARTUP_SECONDS:.0f} s: none started in the run")
    samples = tuple((round(s.t - s.timestamp, 3), s.window) for s in observation.samples)
    return Model(
        cost=cost,
        idle_milli=idle,
        residual_milli=residual,
        request_milli=request,
        limit_milli=limit,
        total_milli=total,
        startup_seconds=startups or (DEFAULT_STARTUP_SECONDS,),
        startup_milli=_startup_milli(observation, new, idle),
        pending_seconds=_pending(new),
        serving_seconds=_serving(document, new),
        service_seconds=_service_seconds(timeline, spare) or cost / (limit or 1000),
        samples=samples or (DEFAULT_SAMPLE,),
        metrics_seconds=_metrics_seconds(observation),
        controller=observation.controller,
        hpa=observation.hpa[0],
        replicas=observation.hpa[0].current_replicas or 1,
        assumed=tuple(assumed),
    )


def _ready_at(pod: Pod) -> float | None:
    return next((t for t, ready in pod.ready if ready), None)


def _ready_since(pod: Pod) -> float | None:
    """When the pod became ready; for one that was ready from the start on, the API's stamp."""
    if pod.ready and pod.ready[0][1]:
        return pod.ready_stamps[0] if pod.ready_stamps and pod.ready_stamps[0] is not None else -inf
    return _ready_at(pod)


def _ready(observation: Observation, seconds: int) -> NDArray[np.float64]:
    """How many pods were ready, each second."""
    result = np.zeros(seconds)
    for pod in observation.pods:
        ends = [*(t for t, _ in pod.ready[1:]), pod.terminating]
        for (start, ready), end in zip(
            pod.ready, ends, strict=False
        ):  # a pod that has just been created has no `ready`
            if ready:
                last = seconds if end is None else min(seconds, int(end))
                result[max(0, int(start)) : max(0, last)] += 1
    return result


def _answers(document: Mapping[str, Any], observation: Observation) -> dict[str, NDArray[np.float64]]:
    """Each pod's answers, each second; the ready pods' equal shares if answers do not name their pod."""
    total = np.asarray(document["timeline"]["answered"], dtype=np.float64)
    answers = {pod.name: np.zeros(len(total)) for pod in observation.pods}
    if any(entry["pod"] not in answers for entry in document["answered_by"]):
        return dict.fromkeys(answers, total / np.maximum(1, _ready(observation, len(total))))
    return answers | {
        entry["pod"]: np.asarray(entry["answered"], dtype=np.float64) for entry in document["answered_by"]
    }


def _regression(observation: Observation, answers: Mapping[str, NDArray[np.float64]]) -> tuple[float, float, float]:
    """Cost of a request, CPU of an idle pod, and the residual: least squares over samples of pods that were ready.

    Before and after the run the pods were idle.
    """
    rates, usages = [], []
    ready = {pod.name: _ready_since(pod) for pod in observation.pods}
    for sample in observation.samples:
        start, since = sample.timestamp - sample.window, ready.get(sample.pod)
        if since is None or start < since:
            continue
        rates.append(_mean(answers[sample.pod], start, sample.timestamp))
        usages.append(sample.usage_nano / 1e6)
    x, y = np.asarray(rates), np.asarray(usages)
    if not len(x) or x.max() <= 0:
        raise Unfit("no CPU sample of the run falls into its load: it takes a run of at least a minute")
    design = np.column_stack([x, np.ones_like(x)])
    if np.ptp(x) > 0:
        cost, idle = (float(value) for value in np.linalg.lstsq(design, y, rcond=None)[0])
    else:
        cost, idle = float(y.mean() / x.mean()), 0.0
    if idle < 0:
        cost, idle = float(x @ y / (x @ x)), 0.0
    if cost <= 0:
        raise Unfit("CPU did not grow with the rate of answers, so a request's cost cannot be told")
    return cost, idle, float(np.sqrt(np.mean((design @ [cost, idle] - y) ** 2)))


def _mean(values: NDArray[np.float64], start: float, end: float) -> float:
    """Mean over a stretch of time; before and after the run there was no load."""
    edges = np.arange(len(values) + 1, dtype=np.float64)
    total = np.concatenate([[0.0], np.cumsum(values)])
    low, high = np.interp([start, end], edges, total)
    return float((high - low) / max(end - start, 1e-9))


def _service_seconds(timeline: Mapping[str, Any], spare: NDArray[np.bool_]) -> float | None:
    """Mean time from sending to the answer in seconds with CPU to spare, None if there is none."""
    answered = np.asarray(timeline["answered"])[: len(spare)][spare]
    if not answered.any():
        return None
    means = np.asarray([mean or 0.0 for mean in timeline["answered_service_mean"]])[: len(spare)][spare]
    return float(np.average(means, weights=answered))


def _spare(observation: Observation, sending: int, limit: int | None, total: float | None) -> NDArray[np.bool_]:
    """Whether the ready pods had CPU to spare, each second of the load.

    A sample tells this only of a window within the load in which no pod became ready or ended.
    """
    ready, (pods, usage) = _ready(observation, sending), _usage(observation, sending)
    most = np.minimum(pods * (limit or inf), total or inf)
    result: NDArray[np.bool_] = (pods > 0) & (pods >= ready) & (usage < SPARE_SHARE * most)
    for sample in observation.samples:
        seconds = _window(sample)
        if sample.timestamp < sample.window or seconds.stop > sending or len(set(ready[seconds])) > 1:
            result[seconds] = False
    return result


def _ceiling(observation: Observation, limit: int | None, timeline: Mapping[str, Any]) -> float | None:
    """The most that all pods got together, if they had work for more: a node can have less CPU than their limits.

    They had, where answers took twice their usual time or more; of these seconds those with most pods count.
    """
    seconds, medians = smoothing.medians(timeline["service_p50"], timeline["succeeded"])
    if limit is None or not len(medians):
        return None
    pods, usage = _usage(observation, len(timeline["second"]))
    slow = np.zeros(len(pods), dtype=bool)
    slow[seconds] = medians >= 2 * np.percentile(medians, 5)
    most = int(pods[slow].max(initial=0))
    top = float(np.median(usage[slow & (pods == most)])) if most else 0.0
    return top if 0 < top < BUSY_SHARE * most * limit else None


def _window(sample: Sample) -> slice:
    """The seconds that begin within the sample's window, from the start of the run on."""
    return slice(max(0, ceil(sample.timestamp - sample.window)), max(0, ceil(sample.timestamp)))


def _usage(observation: Observation, seconds: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How many pods have a sample of each second, and the millicores of all together."""
    pods, milli = np.zeros(seconds, dtype=np.int64), np.zeros(seconds)
    for sample in observation.samples:
        pods[_window(sample)] += 1
        milli[_window(sample)] += sample.usage_nano / 1e6
    return pods, milli


def _startup_milli(observation: Observation, new: Sequence[Pod], idle: float) -> float:
    ready = {pod.name: _ready_at(pod) for pod in new}
    usages = [
        sample.usage_nano / 1e6
        for sample in observation.samples
        if (since := ready.get(sample.pod)) is not None and sample.timestamp <= since
    ]
    return median(usages) if usages else idle


def _pending(new: Sequence[Pod]) -> float:
    waits = [t - pod.phase[0][0] for pod in new for t, phase in pod.phase if phase == "Running"]
    return median(waits) if waits else 2.0


def _serving(document: Mapping[str, Any], new: Sequence[Pod]) -> float:
    first = {served["pod"]: served["first_answer"] for served in document["summary"].get("served_by") or ()}
    delays = [
        max(0.0, first[pod.name] - ready)
        for pod in new
        if (ready := _ready_at(pod)) is not None and first.get(pod.name) is not None
    ]
    return median(delays) if delays else 0.0


def _metrics_seconds(observation: Observation) -> float:
    arrivals: dict[str, list[float]] = {}
    for sample in observation.samples:
        arrivals.setdefault(sample.pod, []).append(sample.t)
    gaps = [later - earlier for times in arrivals.values() for earlier, later in pairwise(times)]
    return round(median(gaps), 1) if len(gaps) > 2 else METRICS_SECONDS
