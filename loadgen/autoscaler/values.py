"""The HPA that the chart makes of a values file, for forecasts with other values than the measured ones."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadgen.cluster import reading
from loadgen.cluster.observation import Hpa
from loadgen.scenarios.fields import rule

NAMES = {"minReplicas": "min", "maxReplicas": "max", "targetCPUUtilizationPercentage": "target_utilization"}


class Values(BaseModel):
    """A part of the values, with the chart's rules."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Policy(Values):
    type: Literal["Pods", "Percent"]
    value: Annotated[int, Field(ge=1)]
    periodSeconds: Annotated[int, Field(ge=1, le=1800)]


class Direction(Values):
    stabilizationWindowSeconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    selectPolicy: Literal["Max", "Min", "Disabled"] | None = None
    policies: list[Policy] | None = None
    tolerance: str | float | None = None


class Behavior(Values):
    scaleUp: Direction | None = None
    scaleDown: Direction | None = None


class Autoscaling(Values):
    minReplicas: Annotated[int, Field(ge=1)] = 1
    maxReplicas: Annotated[int, Field(ge=1)] = 1
    targetCPUUtilizationPercentage: Annotated[int, Field(ge=1)] = 1
    behavior: Behavior | None = None
    enabled: bool = True
    annotations: dict[str, str] | None = None


def hpa_of(values: Mapping[str, Any], base: Hpa) -> Hpa:
    """The HPA that the chart makes of values, over `base`: maps are merged, as Helm does, and lists replaced.

    Raises ValueError with all mistakes in one line.
    """
    autoscaling = values.get("autoscaling") or {}
    try:
        Autoscaling.model_validate(autoscaling)
    except ValidationError as error:
        raise ValueError("; ".join(map(_mistake, error.errors())) + ".") from None
    changes = {NAMES[key]: value for key, value in autoscaling.items() if key in NAMES}
    if behavior := autoscaling.get("behavior"):
        own = base.behavior.model_dump(by_alias=True, exclude_none=True) if base.behavior else {}
        merged = _merged(own, {name: direction for name, direction in behavior.items() if direction is not None})
        changes["behavior"] = reading.behavior(merged)
    hpa = Hpa.model_validate({**base.model_dump(by_alias=True), **changes})
    if hpa.min > hpa.max:
        raise ValueError(f"autoscaling.minReplicas ({hpa.min}) exceeds maxReplicas ({hpa.max}).")
    return hpa


def _mistake(entry: Any) -> str:
    place = ".".join(["autoscaling", *map(str, entry["loc"])])
    if entry["type"] == "extra_forbidden":
        return f"{place}: forecasts are of CPU utilization only"
    return f"{place} {rule(entry)}"


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        k: _merged(base[k], v) for k, v in over.items() if isinstance(v, Mapping) and isinstance(base.get(k), Mapping)
    }
    return {**base, **over, **both}
