"""Measures targets of the language model's autoscaler under equal load, on the cluster of ci/up:

    python -m pytest -s ci/e2e/measure_scaling.py

It prints a row of the table in the chart's README for each target and load.
"""

from collections.abc import Iterator

import pytest
import yaml

from ci.chart.rendering import readme_yaml
from ci.e2e.cluster import Workspace
from ci.e2e.scalers import running_keda
from ci.e2e.scaling import load, scaled

SECONDS = 70
TOKENS = 20
OBJECTIVE = 10.0  # seconds for an answer
TARGETS = {
    "CPU 70%": {"targetCPUUtilizationPercentage": 70},
    "CPU 200%": {"targetCPUUtilizationPercentage": 200},
    "saturation 0.7": yaml.safe_load(readme_yaml("Scale on more than CPU")[0])["autoscaling"],
}


@pytest.fixture(scope="module")
def keda(installed: Workspace) -> Iterator[Workspace]:
    with running_keda(installed):
        yield installed


@pytest.mark.parametrize("users", [1, 24])
@pytest.mark.parametrize("target", TARGETS)
def test_measure(keda: Workspace, target: str, users: int) -> None:
    with scaled(keda, "lm", autoscaling=TARGETS[target] | {"maxReplicas": 3}):
        run = load(keda, "lm", users, SECONDS, "--max-new-tokens", str(TOKENS))
    moments = [run.seconds_to(2, ready) for ready in (False, True)]
    second = [f"{moment:.0f} s" if moment else "never" for moment in moments]
    late = f"{run.slower_than(OBJECTIVE)} of {run.report['summary']['requests']}"
    cells = target, users, *second, run.most, late, f"{run.pod_seconds:.0f}"
    print("\n| " + " | ".join(map(str, cells)) + " |")
