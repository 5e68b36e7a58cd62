"""The HPA of the chart's values or of a manifest, for forecasts with another one than the measured run had."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from loadgen.cluster import reading
from loadgen.cluster.observation import Hpa
from loadgen.scenarios.fields import rule

M = TypeVar("M", bound=BaseModel)
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


def _only(value: bool, reason: str) -> AfterValidator:
    def check(read: bool) -> bool:
        if read != value:
            raise PydanticCustomError("rule", "{rule}", {"rule": reason})
        return read

    return AfterValidator(check)


def _refuse(_: Any) -> NoReturn:
    raise PydanticCustomError("rule", "is a metric beside CPU utilization, and only that is forecast")


class Keda(BaseModel):
    """Without `enabled` the chart ignores the other settings."""

    enabled: Annotated[bool, _only(False, "must be false: a ScaledObject's triggers are not forecast")] = False


class Autoscaling(Values):
    """`autoscaling` of the values."""

    minReplicas: Annotated[int, Field(ge=1)] = 1
    maxReplicas: Annotated[int, Field(ge=1)] = 1
    targetCPUUtilizationPercentage: Annotated[int, Field(ge=1)] = 1
    behavior: Behavior | None = None
    enabled: Annotated[bool, _only(True, "must be true: without it there is no autoscaler to forecast")] = True
    annotations: dict[str, str] | None = None
    metrics: dict[str, Annotated[Any, BeforeValidator(_refuse)]] | None = None
    keda: Keda | None = None


class Target(Values):
    type: Literal["Utilization"]
    averageUtilization: Annotated[int, Field(ge=1)]


class Cpu(Values):
    name: Literal["cpu"]
    target: Target


class Metric(Values):
    type: Literal["Resource"]
    resource: Cpu


def _alone(metrics: list[Metric]) -> list[Metric]:
    if len(metrics) != 1:
        raise PydanticCustomError("rule", "must be CPU utilization alone, once")
    return metrics


class Spec(Values):
    """`spec` of a HorizontalPodAutoscaler (autoscaling/v2)."""

    scaleTargetRef: Any = None
    minReplicas: Annotated[int, Field(ge=1)] = 1
    maxReplicas: Annotated[int, Field(ge=1)]
    metrics: Annotated[list[Metric], AfterValidator(_alone)]
    behavior: Behavior | None = None


class Manifest(BaseModel):
    kind: Literal["HorizontalPodAutoscaler"]
    apiVersion: Literal["autoscaling/v2"]
    spec: Spec


def hpa_of(document: Mapping[str, Any], base: Hpa) -> Hpa:
    """Return the HPA of a manifest, or the one that the chart makes of values.

    Values are over `base`: maps are merged, as Helm does, and lists replaced. Raises ValueError, whose one line has all
    mistakes.
    """
    if "kind" in document:
        changes = _changes_of_manifest(document)
    else:
        changes = _changes_of_values(document.get("autoscaling") or {}, base)
    hpa = Hpa.model_validate({**base.model_dump(by_alias=True), **changes})
    if hpa.min > hpa.max:
        raise ValueError(f"minReplicas ({hpa.min}) exceeds maxReplicas ({hpa.max}).")
    return hpa


def _changes_of_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    spec = _validated(Manifest, manifest, ()).spec
    return {
        "min": spec.minReplicas,
        "max": spec.maxReplicas,
        "target_utilization": spec.metrics[0].resource.target.averageUtilization,
        "behavior": reading.behavior(spec.behavior.model_dump(exclude_none=True) if spec.behavior else None),
    }


def _changes_of_values(autoscaling: Mapping[str, Any], base: Hpa) -> dict[str, Any]:
    _validated(Autoscaling, autoscaling, ("autoscaling",))
    changes = {NAMES[key]: value for key, value in autoscaling.items() if key in NAMES}
    if behavior := autoscaling.get("behavior"):
        own = base.behavior.model_dump(by_alias=True, exclude_none=True) if base.behavior else {}
        merged = _merged(own, {name: direction for name, direction in behavior.items() if direction is not None})
        changes["behavior"] = reading.behavior(merged)
    return changes


def _validated(model: type[M], content: Any, place: tuple[str, ...]) -> M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, (*place, *entry['loc'])))} {rule(entry)}" for entry in error.errors()]
        raise ValueError("; ".join(mistakes) + ".") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        k: _merged(base[k], v) for k, v in over.items() if isinstance(v, Mapping) and isinstance(base.get(k), Mapping)
    }
    return {**base, **over, **both}
