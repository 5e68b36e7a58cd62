"""Names that YAML could read as a number or a boolean stay strings, and whole numbers stay whole."""

import re

import kubernetes_validate
import pytest
import yaml

from ci.chart import rendering
from ci.chart.rendering import CHART, CUSTOM

EVERYTHING = CHART.parents[1] / "ci/chart/tests/everything.yaml"
EXPONENT = re.compile(r"\be\+\d")


def rendered(release: str, namespace: str, *arguments: str) -> str:
    """The objects of a release with every optional field on, as text."""
    values = (f"--values={CHART}/values-lm.yaml", f"--values={EVERYTHING}")
    return rendering.succeed("helm", "template", release, CHART, f"--namespace={namespace}", *values, *arguments)


@pytest.mark.parametrize("name", ["no", "on", "true"])
def test_a_release_may_have_a_name_that_yaml_reads_as_a_boolean(name):
    text = rendered(name, "inference")
    assert not re.findall(rf"^.*(?:name|instance|namespace): {name}$", text, re.M)
    assert {document["metadata"]["labels"]["app.kubernetes.io/instance"] for document in rendering.objects(text)} == {
        name
    }


@pytest.mark.parametrize("name", ["1234", "0123", "1e5"])
def test_a_namespace_may_have_a_name_that_yaml_reads_as_a_number(name):
    text = rendered("r", name)
    assert not re.findall(rf"^.*(?:name|instance|namespace): {name}$", text, re.M)
    assert {document["metadata"]["namespace"] for document in rendering.objects(text)} == {name}


def test_no_other_name_becomes_a_number_or_a_boolean():
    for document in rendering.objects(rendered("r", "inference")):
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, "1.35", strict=True)


@pytest.mark.parametrize("keda", ["true", "false"])
@pytest.mark.parametrize("scaling", ["true", "false"])
def test_whole_numbers_of_a_file_stay_whole(scaling, keda, tmp_path):
    bounds = {"maxReplicas": 2000000, "minReplicas": 1000000, "targetCPUUtilizationPercentage": 1000000}
    behavior = {"scaleUp": {"policies": [{"type": "Pods", "value": 1000000, "periodSeconds": 15}]}}
    triggers = {"x": {"type": "prometheus", "metadata": {"threshold": "1"}}} if keda == "true" == scaling else {}
    keda_values = {"enabled": keda == "true" == scaling, "pollingInterval": 1000000, "cooldownPeriod": 1000000}
    scaler = {"enabled": scaling == "true", "behavior": behavior, "keda": keda_values | {"triggers": triggers}}
    budget = {"minAvailable": 999999, "maxUnavailable": None}
    values = {"autoscaling": bounds | scaler, "replicas": 1000000, "podDisruptionBudget": budget}
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(values))
    text = rendered("r", "inference", f"--values={tmp_path}/large.yaml")
    assert not [line for line in text.splitlines() if EXPONENT.search(line)]
