"""Random cases for Kubernetes' own controller (ci/tools/autoscaler), and what our restatement makes of them."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loadgen.autoscaler import decision, proposal
from loadgen.autoscaler.controller_log import parse
from loadgen.autoscaler.decision import History
from loadgen.autoscaler.proposal import MetricsUnavailable, PodState, Sample
from loadgen.cluster import quantities, reading
from loadgen.cluster.observation import Controller

Json = dict[str, Any]
SYNC_SECONDS = 15


@dataclass(frozen=True)
class Result:
    """What a sync came to. `limited` and `able` are reasons of conditions, None where the sync sets none."""

    proposed: int | None
    desired: int
    utilization: int | None
    average_milli: int | None
    able: str | None
    limited: str | None


def cases(number: int, seed: int) -> Iterator[Json]:
    """One case in ten has many syncs, with changes of replicas and specs between them; the others have one."""
    rng = random.Random(seed)
    for index in range(number):
        syncs = rng.randint(2, 40) if index % 10 == 0 else 1
        target, replicas = rng.choice([1, 30, 50, 70, 70, 70, 100, 150]), rng.choice([0, *range(1, 12)])
        case: Json = {"controller": _controller(rng), "hpa": _hpa(rng, target), "replicas": replicas}
        case["syncs"] = [_sync(rng, target, replicas, first=n == 0) for n in range(syncs)]
        yield case


def _controller(rng: random.Random) -> Json:
    return {
        "sync_seconds": SYNC_SECONDS,
        "tolerance": rng.choice([0.1, 0.1, 0.1, 0.0, 0.25]),
        "cpu_initialization_seconds": rng.choice([300, 300, 30]),
        "initial_readiness_seconds": rng.choice([30, 30, 5]),
        "downscale_stabilization_seconds": rng.choice([300, 60, 15]),
    }


def _hpa(rng: random.Random, target: int) -> Json:
    minimum = rng.choice([None, 1, 1, 2, 5])
    maximum = (minimum or 1) + rng.choice([0, 2, 4, 100])
    directions = {d: _rules(rng) for d in ("scaleUp", "scaleDown") if rng.random() < 0.8}
    behavior = directions if rng.random() < 0.8 else None
    return {"min": minimum, "max": maximum, "target_utilization": target, "behavior": behavior}


def _rules(rng: random.Random) -> Json:
    result: Json = {}
    if rng.random() < 0.7:
        result["stabilizationWindowSeconds"] = rng.choice([0, 15, 30, 45, 100, 300])
    if rng.random() < 0.5:
        result["selectPolicy"] = rng.choice(["Max", "Min", "Disabled"])
    if rng.random() < 0.7:
        result["policies"] = [_policy(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        result["tolerance"] = rng.choice(["0", "10m", "0.05", "100m", "0.1", "333m", "0.5", "1e-1"])
    return result


def _policy(rng: random.Random) -> Json:
    policy_type, period = rng.choice(["Pods", "Percent"]), rng.choice([1, 15, 16, 30, 60])
    return {"type": policy_type, "value": rng.choice([1, 2, 4, 10, 33, 50, 100]), "periodSeconds": period}


def _sync(rng: random.Random, target: int, replicas: int, first: bool) -> Json:
    level = target / 100 * rng.choice([0.2, 0.5, 0.89, 0.9, 1, 1.1, 1.11, 1.5, 3, 8])
    number = max(1, replicas + rng.choice([-1, 0, 0, 0, 1]))
    result: Json = {"pods": [_pod(rng, f"p{n}", level) for n in range(number)]}
    if not first and rng.random() < 0.1:
        result["replicas"] = rng.randint(0, 12)
    if not first and rng.random() < 0.1:
        result["hpa"] = _hpa(rng, target)
    return result


def _pod(rng: random.Random, name: str, level: float) -> Json:
    """A pod like those of a live cluster, often; else at an edge of the rules."""
    containers = rng.choice([1, 1, 1, 2])
    requests: list[int | None] = [rng.choice([100, 150, 250, 1]) for _ in range(containers)]
    usage = [int((r or 0) * level * 1_000_000 * rng.choice([1, 1, rng.random() * 2])) for r in requests]
    if rng.random() < 0.01:
        requests[0] = None
    window, sample_age = rng.choice([10.0, 15.0, 15.462, 19.816]), rng.choice([0.0, 2.0, 8.0, 20.0])
    edges = [29.999, 30.0, 30.001, 299.999, 300.0, 300.001, 1000.0, 9.0]
    start = rng.choice([*edges, 1000.0, 1000.0, 1000.0, None])
    ready_age = rng.choice([sample_age + window, sample_age + window - 0.001, 5.0, 990.0, 990.0, 275.0, 270.0])
    return {
        "name": name,
        "phase": rng.choice(["Running"] * 12 + ["Pending", "Failed", "Succeeded"]),
        "requests": [None if request is None else f"{request}m" for request in requests],
        "deleting": rng.random() < 0.05,
        "start_age": start,
        "ready": rng.choice([True] * 10 + [False, False, None]),
        "ready_age": ready_age,
        "usage": None if rng.random() < 0.12 else [rng.choice([f"{n}n", f"{-(-n // 10**6)}m"]) for n in usage],
        "sample_age": sample_age,
        "window": window,
    }


def ours(case: Json) -> Iterator[Result]:
    """Each sync by the restatement."""
    controller = Controller.model_validate(case["controller"])
    history, replicas, hpa = History(), case["replicas"], case["hpa"]
    for number, sync in enumerate(case["syncs"], 1):
        now = float(number * SYNC_SECONDS)
        replicas, hpa = sync.get("replicas", replicas), sync.get("hpa", hpa)
        minimum = 1 if hpa["min"] is None else hpa["min"]
        behavior = reading.behavior(hpa["behavior"])
        made: proposal.Proposal | None = None
        if minimum <= replicas <= hpa["max"]:
            pods, target = [_state(pod, now) for pod in sync["pods"]], hpa["target_utilization"]
            with suppress(MetricsUnavailable):
                made = proposal.propose(pods, replicas, target, now, behavior, controller)
        proposed = made.replicas if made else None
        result = decision.decide(proposed, replicas, minimum, hpa["max"], behavior, controller, history, now)
        rescaled = result.desired != replicas
        yield Result(
            proposed,
            result.desired,
            made.utilization if made else None,
            made.average_milli if made else None,
            "SucceededRescale" if rescaled else result.able_to_scale or "SucceededGetScale",
            result.scaling_limited or None,
        )
        history, replicas = result.history, result.desired


def _state(pod: Json, now: float) -> PodState:
    requests = [None if request is None else quantities.milli(request) for request in pod["requests"]]
    sample = None
    if pod["usage"] is not None:
        usage = sum(map(quantities.milli, pod["usage"]))
        sample = Sample(usage, now - pod["sample_age"], pod["window"])
    return PodState(
        name=pod["name"],
        phase=pod["phase"],
        request_milli=None if None in requests else sum(r for r in requests if r is not None),
        deleting=pod["deleting"],
        start_time=None if pod["start_age"] is None else now - pod["start_age"],
        ready=pod["ready"],
        ready_since=now - pod["ready_age"],
        sample=sample,
    )


def theirs(outcomes: list[Json]) -> Iterator[Result]:
    """Each sync by Kubernetes' own controller: its log, the HPA's status, and the scale."""
    for outcome in outcomes:
        logged = parse(outcome["log"], "n/a", "Deployment/n/a", 2000)  # one; none where the metrics are unavailable
        status = outcome["status"]
        current: Json = next((m["resource"]["current"] for m in status["currentMetrics"] or () if m["type"]), {})
        reasons = {condition["type"]: condition["reason"] for condition in status["conditions"]}
        average = current.get("averageValue")
        yield Result(
            logged[0].proposed if logged else None,
            outcome["replicas"],
            current.get("averageUtilization"),
            None if average is None else quantities.milli(average),
            reasons.get("AbleToScale"),
            reasons.get("ScalingLimited"),
        )
