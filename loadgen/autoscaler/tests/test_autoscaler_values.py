"""The HPA of a values file or a manifest, or a refusal with all mistakes in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from loadgen.autoscaler.tests.test_autoscaler_simulate import BEHAVIOR, HPA
from loadgen.autoscaler.values import hpa_of

CHART = Path(__file__).parents[3] / "charts" / "inference-service"


def test_values_of_the_chart_over_those_that_ran():
    down = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    values = {"autoscaling": {"maxReplicas": 9, "targetCPUUtilizationPercentage": 50, "behavior": down}, "app": "lm"}
    made = hpa_of(values, HPA)
    assert (made.min, made.max, made.target_utilization) == (1, 9, 50)
    assert made.behavior and made.behavior.scale_down and made.behavior.scale_up == BEHAVIOR.scale_up
    assert made.behavior.scale_down.stabilization_window_seconds == 60
    assert made.behavior.scale_down.policies == BEHAVIOR.scale_down.policies  # type: ignore[union-attr]  # set above


@pytest.mark.parametrize(
    ("name", "bounds"), [("values", (1, 3, 70)), ("values-lm", (1, 5, 200)), ("values-classifier", (1, 5, 70))]
)
def test_files_of_the_chart_are_taken_as_they_are(name, bounds):
    values = yaml.safe_load((CHART / f"{name}.yaml").read_text())
    made = hpa_of(values, HPA)
    assert (made.min, made.max, made.target_utilization) == bounds and made.behavior == BEHAVIOR


def manifest(**spec: Any) -> dict[str, Any]:
    """An HPA as `helm template` renders it, and as `kubectl get -o yaml` prints it."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    metrics = [{"type": "Resource", "resource": cpu}]
    spec = {"scaleTargetRef": {"kind": "Deployment"}, "maxReplicas": 7, "metrics": metrics} | spec
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {},
        "spec": spec,
        "status": {},
    }


def test_a_manifest_replaces_the_measured_hpa_whole():
    made = hpa_of(manifest(), HPA)
    assert (made.min, made.max, made.target_utilization, made.behavior) == (1, 7, 60, None)
    behavior = hpa_of(manifest(behavior={"scaleUp": {"tolerance": "50m"}}), HPA).behavior
    assert behavior and behavior.scale_up and behavior.scale_up.tolerance == 0.05 and behavior.scale_down is None


@pytest.mark.parametrize(
    ("document", "mistakes"),
    [
        ({"kind": "Deployment", "apiVersion": "apps/v1", "spec": {}}, "kind must be 'HorizontalPodAutoscaler'; apiV"),
        (manifest(minReplicas=8), "minReplicas (8) exceeds maxReplicas (7)."),
        (manifest(metrics=[]), "spec.metrics must be CPU utilization alone, once."),
        (
            manifest(metrics=[{"type": "Pods", "pods": {}}], minReplicas="x"),
            "spec.minReplicas must be a valid integer; spec.metrics.0.type must be 'Resource'",
        ),
    ],
)
def test_a_manifest_that_is_not_forecast_is_refused(document, mistakes):
    with pytest.raises(ValueError) as refused:
        hpa_of(document, HPA)
    assert str(refused.value).startswith(mistakes)


@pytest.mark.parametrize(
    "autoscaling",
    [None, {}, {"behavior": None}, {"behavior": {"scaleUp": None}}, {"enabled": True}, {"metrics": {}, "keda": {}}],
)
def test_values_that_change_nothing_leave_the_measured_hpa(autoscaling):
    assert hpa_of({"autoscaling": autoscaling}, HPA) == HPA == hpa_of({"app": "lm"}, HPA)


@pytest.mark.parametrize(
    ("autoscaling", "mistakes"),
    [
        (
            {"metrics": {"queue": {"type": "Pods"}}, "keda": {"enabled": True, "triggers": {}}},
            "autoscaling.metrics.queue is a metric beside CPU utilization, and only that is forecast; "
            "autoscaling.keda.enabled must be false: a ScaledObject's triggers are not forecast.",
        ),
        ({"enabled": False}, "autoscaling.enabled must be true: without it there is no autoscaler to forecast."),
        ({"maximum": 3}, "autoscaling.maximum is not known here."),
        ([1], "autoscaling must be a mapping."),
        (
            {"minReplicas": "x", "maxReplicas": None, "targetCPUUtilizationPercentage": 1.5},
            "autoscaling.minReplicas must be a valid integer; autoscaling.maxReplicas must be a valid integer; "
            "autoscaling.targetCPUUtilizationPercentage must be a valid integer.",
        ),
        ({"minReplicas": 0}, "autoscaling.minReplicas must be greater than or equal to 1."),
        ({"minReplicas": 9, "maxReplicas": 2}, "minReplicas (9) exceeds maxReplicas (2)."),
        ({"minReplicas": 9}, "minReplicas (9) exceeds maxReplicas (5)."),
        ({"behavior": 3}, "autoscaling.behavior must be a mapping."),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Foo", "value": 0}]}}},
            "autoscaling.behavior.scaleUp.policies.0.type must be 'Pods' or 'Percent'; "
            "autoscaling.behavior.scaleUp.policies.0.value must be greater than or equal to 1; "
            "autoscaling.behavior.scaleUp.policies.0.periodSeconds is missing.",
        ),
        (
            {"behavior": {"scaleDown": {"tolerance": "x"}}},
            "'x' is not a quantity of Kubernetes, such as 250m, 0.5 or 1Gi",
        ),
    ],
)
def test_values_that_the_chart_or_a_forecast_does_not_allow_are_refused(autoscaling, mistakes):
    with pytest.raises(ValueError) as refused:
        hpa_of({"autoscaling": autoscaling}, HPA)
    assert str(refused.value) == mistakes
