"""The HPA of a values file: merged over the one that ran, or refused with all mistakes in one line."""

import pytest

from loadgen.autoscaler.tests.test_autoscaler_simulate import BEHAVIOR, HPA
from loadgen.autoscaler.values import hpa_of


def test_values_of_the_chart_over_those_that_ran():
    down = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    values = {"autoscaling": {"maxReplicas": 9, "targetCPUUtilizationPercentage": 50, "behavior": down}, "app": "lm"}
    made = hpa_of(values, HPA)
    assert (made.min, made.max, made.target_utilization) == (1, 9, 50)
    assert made.behavior and made.behavior.scale_down and made.behavior.scale_up == BEHAVIOR.scale_up
    assert made.behavior.scale_down.stabilization_window_seconds == 60
    assert made.behavior.scale_down.policies == BEHAVIOR.scale_down.policies  # type: ignore[union-attr]  # set above


@pytest.mark.parametrize(
    "autoscaling", [None, {}, {"behavior": None}, {"behavior": {"scaleUp": None}}, {"enabled": True}]
)
def test_values_that_change_nothing_leave_the_measured_hpa(autoscaling):
    assert hpa_of({"autoscaling": autoscaling}, HPA) == HPA == hpa_of({"app": "lm"}, HPA)


@pytest.mark.parametrize(
    ("autoscaling", "mistakes"),
    [
        (
            {"metrics": {}, "keda": {}},
            "autoscaling.metrics: forecasts are of CPU utilization only; "
            "autoscaling.keda: forecasts are of CPU utilization only.",
        ),
        ([1], "autoscaling must be a mapping."),
        (
            {"minReplicas": "x", "maxReplicas": None, "targetCPUUtilizationPercentage": 1.5},
            "autoscaling.minReplicas must be a valid integer; autoscaling.maxReplicas must be a valid integer; "
            "autoscaling.targetCPUUtilizationPercentage must be a valid integer.",
        ),
        ({"minReplicas": 0}, "autoscaling.minReplicas must be greater than or equal to 1."),
        ({"minReplicas": 9, "maxReplicas": 2}, "autoscaling.minReplicas (9) exceeds maxReplicas (2)."),
        ({"minReplicas": 9}, "autoscaling.minReplicas (9) exceeds maxReplicas (5)."),
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
