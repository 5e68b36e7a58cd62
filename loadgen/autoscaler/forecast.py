"""A forecast beside what was measured, as text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadgen.autoscaler.fit import Model
from loadgen.autoscaler.simulate import Band, Forecast, Need
from loadgen.autoscaler.states import at
from loadgen.cluster.observation import Observation


class Measured(BaseModel):
    """The same figures as a forecast's, of the run itself. `answered` counts the requests that succeeded."""

    model_config = ConfigDict(frozen=True)

    replicas: tuple[int, ...]
    first_change: float | None
    most: int
    replica_seconds: int
    answered: int


class Error(BaseModel):
    """The forecast's medians minus what was measured. None where one of them has no such figure.

    `replicas` is the mean over time of the absolute difference; `within` the share of seconds in the band.
    """

    model_config = ConfigDict(frozen=True)

    replicas: float
    within: float
    first_change: float | None
    most: float
    replica_seconds_percent: float
    answered_percent: float


def measured(document: Mapping[str, Any]) -> Measured:
    """What the run of a document, which was observed, came to."""
    observation = Observation.model_validate(document["cluster"])
    replicas = [at(observation.deployment, float(second)).desired for second in document["timeline"]["second"]]
    return Measured(
        replicas=tuple(replicas),
        first_change=next((float(s) for s, n in enumerate(replicas) if n != replicas[0]), None),
        most=max(replicas),
        replica_seconds=sum(replicas),
        answered=sum(document["timeline"]["answered"]),
    )


def error(forecast: Forecast, run: Measured) -> Error:
    """How far the forecast is from the run; both are of the same load."""
    bands, actual = np.asarray(forecast.replicas[: len(run.replicas)]), np.asarray(run.replicas)
    first = None
    if forecast.first_change and run.first_change is not None:
        first = forecast.first_change[1] - run.first_change
    return Error(
        replicas=float(np.abs(bands[:, 1] - actual).mean()),
        within=float(((bands[:, 0] <= actual) & (actual <= bands[:, 2])).mean()),
        first_change=first,
        most=forecast.most[1] - run.most,
        replica_seconds_percent=_percent(forecast.replica_seconds[1], run.replica_seconds),
        answered_percent=_percent(forecast.answered[1], run.answered),
    )


def _percent(predicted: float, actual: float) -> float:
    return 100 * (predicted - actual) / actual if actual else float("nan")


def text(model: Model, run: Measured, forecasts: Mapping[str, Forecast], needs: Sequence[Need]) -> str:
    """Everything that a person wants to know of a forecast; the first of `forecasts` is of the measured run itself."""
    return "\n\n".join(
        [_fitted(model), _courses(run, forecasts), _differences(run, forecasts), _multiples(model, needs)]
    )


def _fitted(model: Model) -> str:
    limit = "no CPU limit" if model.limit_milli is None else f"{model.limit_milli}m of CPU"
    starts = model.startup_seconds
    lines = [
        f"A request costs {model.cost:.1f} ms of CPU, and an idle pod uses {model.idle_milli:.1f}m "
        f"(the fit is off by {model.residual_milli:.1f}m, root mean square).",
        f"A pod with {limit} answers {model.pod_rate:.1f} requests/s, and is ready after {min(starts):.0f} to "
        f"{max(starts):.0f} s ({len(starts)} seen).",
    ]
    if model.total_milli is not None:
        lines.append(f"All pods together never got more than {model.total_milli:.0f}m: the node had no more to give.")
    return "\n".join([*lines, *(f"Assumed: {assumption}." for assumption in model.assumed)])


def _courses(run: Measured, forecasts: Mapping[str, Forecast]) -> str:
    head = ["10 - 50 - 90%", "first change s", "most replicas", "replica-seconds", "s at capacity", "longest wait s"]
    first = "none" if run.first_change is None else f"{run.first_change:.0f}"
    own = ["measured", first, str(run.most), str(run.replica_seconds), "", "", str(run.answered)]
    rows = [
        [
            name,
            *map(_bands, (f.first_change, f.most, f.replica_seconds, f.short_seconds, f.wait_seconds, f.answered)),
        ]
        for name, f in forecasts.items()
    ]
    return _table([[*head, "answered"], own, *rows])


def _bands(band: Band | None) -> str:
    return "none" if band is None else " - ".join(f"{value:.0f}" for value in band)


def _differences(run: Measured, forecasts: Mapping[str, Forecast]) -> str:
    off = error(next(iter(forecasts.values())), run)
    first = "" if off.first_change is None else f"first change {off.first_change:+.0f} s, "
    return (
        f"Forecast minus measured, for the load of the run: {first}most replicas {off.most:+.0f}, "
        f"replica-seconds {off.replica_seconds_percent:+.0f}%, answered {off.answered_percent:+.0f}%."
        f"\nReplicas are {off.replicas:.1f} off on average, and in the band for {off.within:.0%} of the time."
    )


def _multiples(model: Model, needs: Sequence[Need]) -> str:
    pods = f"pods for {model.hpa.target_utilization}%"
    head = ["times the load", "requests/s", pods, "pods at limit", "CPU requested", "reached in"]
    rows = [
        [
            f"{need.factor:g}",
            f"{need.rate:.1f}",
            str(need.pods),
            str(need.pods_at_limit),
            f"{need.requested_cores:.1f}",
            "never" if need.seconds is None else f"{need.seconds:.0f} s",
        ]
        for need in needs
    ]
    note = (
        "Reached from minReplicas by the policies alone, without maxReplicas; the start of the last pods comes on top."
    )
    return f"{_table([head, *rows])}\n{note}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:{widths[0]}}", *cells]))
    return "\n".join(lines)
