"""How well the supply of replicas followed the demand, in the terms of the literature. Pure functions of a document.

Accuracy, timeshare and instability are those of Herbst, Kounev, Reussner, "Elasticity in Cloud Computing: What It Is,
and What It Is Not" (ICAC 2013), and of Herbst et al., "Ready for Rain?" (SPEC Research, 2016).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.autoscaler import smoothing
from loadgen.autoscaler.fit import Unfit, fit

Document = Mapping[str, Any]


def elasticity(document: Document, objective_seconds: float | None = None) -> dict[str, Any] | None:
    """Return the metrics of the sending window; None without observed replicas or measured CPU per request.

    demand: replicas that would have kept the utilisation at the target, from the rate of due requests and the measured
    CPU time of a request, within the autoscaler's bounds. supply: ready replicas.
    under_accuracy, over_accuracy: mean of the missing or surplus replicas, as a share of the demand.
    under_timeshare, over_timeshare: share of time with too few or too many. instability: share of time in which supply
    and demand move in different directions.
    replica_seconds, replica_seconds_needed: of ready replicas, and of the demand in hindsight.
    objective_seconds, seconds_outside_objective: of the response time's p99, failed seconds included; null without one.
    """
    cluster, timeline = document.get("cluster"), document["timeline"]
    if not cluster or not cluster["deployment"] or not timeline["second"]:
        return None
    try:
        cpu = fit(document).cost / 1000
    except Unfit:
        return None
    bounds = next((entry for entry in reversed(cluster["hpa"]) if entry["target_utilization"]), None)
    requests = [pod["request_milli"] for pod in cluster["pods"] if pod["request_milli"]]
    if bounds is None or not requests:
        return None
    length = len(timeline["second"])
    capacity = float(np.median(requests)) / 1000 * bounds["target_utilization"] / 100  # CPU seconds a second
    rate = smoothing.means(timeline["due"])
    demand = np.clip(np.ceil(rate * cpu / capacity - 1e-9), bounds["min"] or 1, bounds["max"])
    supply = steps([(entry["t"], entry["ready"]) for entry in cluster["deployment"]], length)
    return {
        "cpu_seconds_per_request": cpu,
        **provisioning(demand, supply),
        "replica_seconds": float(supply.sum()),
        "replica_seconds_needed": float(demand.sum()),
        "objective_seconds": objective_seconds,
        "seconds_outside_objective": _outside(timeline, objective_seconds),
        "demand": demand.tolist(),
        "supply": supply.tolist(),
    }


def provisioning(demand: NDArray[np.float64], supply: NDArray[np.float64]) -> dict[str, float]:
    """Return accuracy, timeshare and instability; `demand` (above 0) and `supply` are replicas in each second."""
    under, over = np.maximum(demand - supply, 0), np.maximum(supply - demand, 0)
    moves = np.sign(np.diff(supply)) != np.sign(np.diff(demand))
    return {
        "under_accuracy": float((under / demand).mean()),
        "over_accuracy": float((over / demand).mean()),
        "under_timeshare": float((under > 0).mean()),
        "over_timeshare": float((over > 0).mean()),
        "instability": float(moves.mean()) if len(moves) else 0.0,
    }


def steps(changes: Sequence[tuple[float, float | None]], length: int) -> NDArray[np.float64]:
    """Return the value at each second from 0 to length - 1; before the first change it is that of the first."""
    times = np.array([at for at, _ in changes])
    values = np.array([value or 0 for _, value in changes], float)
    index = np.searchsorted(times, np.arange(length), side="right") - 1
    return values[np.maximum(index, 0)]


def _outside(timeline: Document, objective: float | None) -> int | None:
    if objective is None:
        return None
    late = [value is not None and value > objective for value in timeline["response_p99"]]
    return sum(bool(a or b > 0) for a, b in zip(late, timeline["failed"], strict=True))
