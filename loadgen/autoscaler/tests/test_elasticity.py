"""Elasticity: known answers for small curves of demand and supply, and for a whole document."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.autoscaler.elasticity import elasticity, provisioning, steps
from loadgen.autoscaler.fit import Unfit, fit
from loadgen.report.tests import documents

COUNTS = st.lists(st.integers(1, 9), min_size=2, max_size=40)


def test_known_answers_of_the_provisioning_metrics():
    demand, supply = np.array([1.0, 2, 4, 4, 2]), np.array([1.0, 1, 2, 4, 4])
    metrics = provisioning(demand, supply)
    assert metrics["under_accuracy"] == pytest.approx((0.5 + 0.5) / 5)
    assert metrics["over_accuracy"] == pytest.approx(1 / 5)
    assert (metrics["under_timeshare"], metrics["over_timeshare"]) == (2 / 5, 1 / 5)
    assert metrics["instability"] == 3 / 4, "demand rises, rises, stays, falls; supply stays, rises, rises, stays"


@given(COUNTS)
def test_supply_that_equals_the_demand_has_no_shortfall(values):
    assert set(provisioning(np.array(values, float), np.array(values, float)).values()) == {0.0}


def test_values_hold_until_the_next_change():
    assert steps([(-5, 1), (2, 3), (3.5, 2)], 6).tolist() == [1, 1, 3, 3, 2, 2]
    assert steps([(3, 2)], 5).tolist() == [2] * 5


def test_a_run_whose_second_pod_came_late():
    figures = elasticity(documents.observed(), objective_seconds=0.5) or {}
    assert figures["supply"] == [1] * 60 + [2] * 60
    assert figures["demand"][:20] == [1] * 20 and figures["demand"][40:] == [2] * 80
    assert 27 / 120 < figures["under_timeshare"] < 33 / 120 and figures["over_timeshare"] == 0
    assert figures["replica_seconds"] == 180
    assert figures["seconds_outside_objective"] == 33, "from 32 to 65 s"


def test_few_requests_do_not_make_the_demand_change_each_second():
    document = documents.observed()
    document["timeline"]["due"] = [2, 0, 0, 1] * 30
    for pod in document["cluster"]["pods"]:
        pod["request_milli"] = 8
    assert set((elasticity(document) or {})["demand"]) == {2}


def test_without_a_cluster_or_samples_there_is_no_elasticity():
    document = documents.observed()
    document["cluster"]["samples"] = []
    assert elasticity(document) is None and elasticity(documents.run()) is None


def test_a_pod_that_has_only_just_been_created_does_not_end_the_analysis():
    document = documents.observed()
    expected = elasticity(document)
    document["cluster"]["pods"].append(
        documents.pod("classifier-service-1-ccccc", 119, 130) | {"ready": [], "endpoint": []}
    )
    assert elasticity(document) == expected is not None


def test_pods_with_a_request_of_zero_cpu_have_no_utilization():
    document = documents.observed()
    for pod in document["cluster"]["pods"]:
        pod["request_milli"] = 0
    with pytest.raises(Unfit, match="no CPU request"):
        fit(document)
    assert elasticity(document) is None
