"""Summarises a run: pure functions from observations to plain data. `report` documents the fields."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from loadgen.observe import Observation, Run

BUSY_CPU_SHARE = 0.9
LATE_SECONDS = 0.01
LATE_SHARE = 0.1


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `percent` % of the values do not exceed."""
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def summarise(run: Run) -> dict[str, Any]:
    observations = run.observations
    good = [observation for observation in observations if observation.outcome == "ok"]
    return {
        "requests": len(observations),
        "succeeded": len(good),
        "failed": len(observations) - len(good),
        "rate_per_second": len(good) / run.elapsed_seconds if run.elapsed_seconds else 0.0,
        "latency_seconds": latency([observation.seconds for observation in good]),
        "errors": errors(observations),
        "served_by": served_by(observations),
        "accuracy": accuracy(good),
        "completion_tokens": tokens(good, run.elapsed_seconds),
    }


def latency(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    ranks = {f"p{percent}": percentile(ordered, percent) for percent in (50, 90, 95, 99)}
    return ranks | {"max": ordered[-1], "mean": math.fsum(ordered) / len(ordered)}


def errors(observations: list[Observation]) -> list[dict[str, Any]]:
    counts = Counter(
        (observation.outcome, observation.status, observation.detail)
        for observation in observations
        if observation.outcome != "ok"
    )
    return [
        {"outcome": outcome, "status": status, "detail": detail, "requests": requests}
        for (outcome, status, detail), requests in counts.most_common()
    ]


def served_by(observations: list[Observation]) -> list[dict[str, Any]]:
    answers: Counter[tuple[str | None, str | None]] = Counter()
    first: dict[tuple[str | None, str | None], float] = {}
    for observation in observations:
        if observation.status is not None:
            server = observation.served_by, observation.model_version
            answers[server] += 1
            first.setdefault(server, observation.end)
    return [
        {"pod": pod, "model_version": version, "requests": requests, "first_answer": first[pod, version]}
        for (pod, version), requests in answers.most_common()
    ]


def accuracy(good: list[Observation]) -> dict[str, Any] | None:
    judged = [observation.correct for observation in good if observation.correct is not None]
    if not judged:
        return None
    return {"correct": sum(judged), "judged": len(judged), "share": sum(judged) / len(judged)}


def tokens(good: list[Observation], elapsed_seconds: float) -> dict[str, Any] | None:
    counts = [observation.completion_tokens for observation in good if observation.completion_tokens is not None]
    if not counts:
        return None
    return {"total": sum(counts), "rate_per_second": sum(counts) / elapsed_seconds}


def generator(run: Run, latency_seconds: dict[str, float] | None) -> dict[str, Any]:
    """Return the generator's CPU time and lag, with warnings if these, not the service, determined the results."""
    lags = sorted(run.lags) or [0.0]
    share = run.cpu_seconds / run.elapsed_seconds if run.elapsed_seconds else 0.0
    lag = {"p50": percentile(lags, 50), "p99": percentile(lags, 99), "max": lags[-1]}
    return {
        "cpu_seconds": run.cpu_seconds,
        "cpu_share": share,
        "loop_lag_seconds": lag,
        "warnings": warnings(share, lag["p99"], latency_seconds),
    }


def warnings(cpu_share: float, lag_p99: float, latency_seconds: dict[str, float] | None) -> list[str]:
    if cpu_share >= BUSY_CPU_SHARE:
        return [
            f"The generator was the bottleneck: it used {cpu_share:.0%} of the one core that it can use. "
            "The service could have answered more. Run several generators at once, each with fewer users."
        ]
    if latency_seconds and lag_p99 > max(LATE_SECONDS, LATE_SHARE * latency_seconds["p50"]):
        return [
            f"The generator itself was late, by {lag_p99 * 1000:.0f} ms at p99; the latencies contain that. "
            "Something kept its core busy: give it a free one, or a machine of its own."
        ]
    return []
