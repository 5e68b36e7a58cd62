"""Documents of runs: a step from 5 to 20 requests a second, without a cluster and with one that adds a pod."""

from typing import Any

import numpy as np

from loadgen.autoscaler.elasticity import elasticity
from loadgen.autoscaler.reaction import reaction


def figures(p50: float) -> dict[str, float]:
    return {"p50": p50, "p90": 1.5 * p50, "p95": 1.8 * p50, "p99": 2.5 * p50, "max": 4 * p50, "mean": 1.1 * p50}


def summary(requests: int, failed: int = 0, **changes: Any) -> dict[str, Any]:
    measured = requests > 0
    return {
        "requests": requests,
        "succeeded": requests - failed,
        "failed": failed,
        "dropped": 0,
        "stale": 0,
        "local": 0,
        "interrupted": 0,
        "rate_per_second": requests / 120,
        "response_seconds": figures(0.2) if measured else None,
        "response_seconds_succeeded": figures(0.2) if measured else None,
        "service_seconds": figures(0.1) if measured else None,
        "first_token_seconds": None,
        "inter_token_seconds": None,
        "longest_silence_seconds": None,
        "errors": [],
        "served_by": [],
        "accuracy": None,
        "completion_tokens": None,
        **changes,
    }


def timeline(due: list[int], slow: tuple[int, int] | None = None) -> dict[str, Any]:
    """slow: the seconds between which answers take 1 s instead of 0.1 s."""
    seconds = list(range(len(due)))
    latency = [1.0 if slow and slow[0] <= second < slow[1] else 0.1 for second in seconds]
    return {
        "second": seconds,
        "phase": ["load" for _ in seconds],
        "due": due,
        "started": due,
        "succeeded": due,
        "answered": due,
        "answered_service_mean": latency,
        "failed": [0 for _ in seconds],
        "dropped": [0 for _ in seconds],
        "in_flight": [1 for _ in seconds],
        **{f"response_{name}": [factor * value for value in latency] for name, factor in (("p50", 1), ("p90", 2))},
        "response_p99": [3 * value for value in latency],
        "service_p50": [0.1 for _ in seconds],
        "service_p99": [0.2 for _ in seconds],
    }


def run(due: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    """A run without an observed cluster."""
    due = [5] * 30 + [20] * 90 if due is None else due
    total = sum(due)
    served = [{"pod": "classifier-service-1-aaaaa", "model_version": "v1", "requests": total, "first_answer": 0.1}]
    return {
        "schema_version": 2,
        "summary": summary(total, served_by=served if total else []),
        "phases": [
            {"name": "low", "start": 0.0, "end": 30.0, "warmup": False, "summary": summary(sum(due[:30]))},
            {"name": "high", "start": 30.0, "end": 120.0, "warmup": False, "summary": summary(sum(due[30:]))},
        ],
        "drain": {"requests": 0, "seconds": 0.0},
        "generator": {"saturated": False, "reasons": [], "workers": [{}], "cpu_seconds": 1.5},
        "thresholds": [],
        "warnings": [],
        "verdict": None,
        "settings": {"rate": 5, "concurrency": None, "seed": 1},
        "target": "classifier",
        "url": "http://127.0.0.1:30080/predict",
        "run": {
            "started_at": "2026-11-26T08:00:00+00:00",
            "started_epoch": 1795680000.0,
            "ended_by": "duration",
            "elapsed_seconds": 120.2,
            "version": "0.1.0",
            "commit": "0" * 40,
            "host": {"cores": 2},
        },
        "timeline": timeline(due, slow=(32, 65)),
        "answered_by": [{"pod": None, "answered": due}],
        "cluster": None,
        "decisions": None,
        "reaction": None,
        "elasticity": None,
        **changes,
    }


def hpa(t: float, current: int, desired: int | None, utilization: int | None) -> dict[str, Any]:
    return {
        "t": t,
        "stamp": t,
        "min": 1,
        "max": 3,
        "target_utilization": 70,
        "current_replicas": current,
        "desired_replicas": desired,
        "utilization": utilization,
    }


def pod(name: str, created: float, ready: float, gone: float | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "version": "v1",
        "request_milli": 200,
        "limit_milli": 1000,
        "start_time": created,
        "created": created,
        "scheduled": created + 0.1,
        "started": created + 1,
        "ready": [[created + 0.2, False], [ready, True]],
        "endpoint": [[ready + 0.3, True]],
        "terminating": None if gone is None else gone - 5,
        "gone": gone,
        "restarts": [],
        "phase": [],
    }


def sample(t: float, name: str, usage_milli: float) -> dict[str, Any]:
    usage = {"usage_nano": int(usage_milli * 1e6), "usage_milli": int(usage_milli)}
    return {"t": t, "pod": name, "timestamp": t - 2.0, "window": 15.0, **usage}


def observed(**changes: Any) -> dict[str, Any]:
    """A run whose second pod is decided at 50 s, ready at 60 s, and answers from 62 s on."""
    first, second = "classifier-service-1-aaaaa", "classifier-service-1-bbbbb"
    cluster = {
        "release": "inference/classifier-service",
        "server_version": "v1.35.4",
        "controller": {
            "sync_seconds": 15,
            "tolerance": 0.1,
            "cpu_initialization_seconds": 300,
            "initial_readiness_seconds": 30,
            "downscale_stabilization_seconds": 300,
            "source": "assumed",
        },
        "skew_seconds": 0.01,
        "hpa": [hpa(-5, 1, 1, 25), hpa(50, 1, 2, 100), hpa(65, 2, 2, 60)],
        "deployment": [
            {
                "t": at,
                "desired": replicas,
                "replicas": replicas,
                "updated": replicas,
                "ready": ready,
                "available": ready,
            }
            for at, replicas, ready in ((-5, 1, 1), (50, 2, 1), (60, 2, 2))
        ],
        "pods": [pod(first, -1000, -990), pod(second, 50.2, 60)],
        "samples": [sample(at, first, 55 if at < 40 else 205) for at in range(17, 122, 15)]
        + [sample(at, second, 100) for at in range(77, 122, 15)],
        "events": [
            {"t": 50.1, "stamp": 50, "type": "Normal", "reason": "SuccessfulRescale", "object": "classifier-service"}
            | {"message": "New size: 2", "count": 1}
        ],
        "errors": [],
    }
    answers = [
        {"pod": first, "model_version": "v1", "requests": 1200, "first_answer": 0.1},
        {"pod": second, "model_version": "v1", "requests": 750, "first_answer": 62.0},
    ]
    document = run(cluster=cluster)
    document["summary"]["served_by"] = answers
    return {**document, **changes}


def complete() -> dict[str, Any]:
    """An observed run with everything that is computed from it."""
    document = observed(thresholds=[{"expression": "p99<200ms", "value": 0.5, "passed": False}])
    decision = {
        "t": 50.0,
        "current": 1,
        "proposed": 4,
        "desired": 2,
        "observed": 2,
        "reason": "above",
        "why": "102% of the request is 1.46 times the target.",
        "limited_by": "maxReplicas",
        "differs": False,
        "unknown": ["recommendations before -5 s"],
        "inputs": {},
    }
    return {
        **document,
        "decisions": [decision],
        "reaction": reaction(document),
        "elasticity": elasticity(document, objective_seconds=0.5),
    }


def million(seconds: int = 3600) -> dict[str, Any]:
    """An hour of Poisson arrivals, a million in all."""
    due = np.random.default_rng(1).poisson(1_000_000 / seconds, seconds).tolist()
    return run(due)
