"""KEDA scales on what the pods tell, read from them or from a Prometheus, and from zero on what it sees elsewhere."""

import time
from collections.abc import Iterator

import pytest
import yaml

from ci.chart.rendering import readme_yaml
from ci.e2e.cluster import URLS, Workspace, ask
from ci.e2e.scalers import PROMETHEUS, running_keda, running_prometheus
from ci.e2e.scaling import load, scaled, wait_for_pods

pytestmark = pytest.mark.full

SECTION = "Scale on more than CPU"
LM = ("--max-new-tokens", "10")


@pytest.fixture(scope="module")
def keda(installed: Workspace) -> Iterator[Workspace]:
    with running_keda(installed):
        yield installed


def refused() -> bool:
    """Whether the classifier refuses a connection."""
    try:
        ask(f"{URLS['classifier']}/healthz", timeout=5)
    except OSError:
        return True
    return False


def example(number: int) -> dict:
    """The values of `autoscaling` in one of the README's examples."""
    return yaml.safe_load(readme_yaml(SECTION)[number])["autoscaling"]


def test_the_language_model_scales_to_three_pods_and_back_on_saturation_without_a_failed_request(keda: Workspace):
    with scaled(keda, "lm", autoscaling=example(0) | {"maxReplicas": 3}):
        run = load(keda, "lm", 24, 70, *LM)
        print(run.changes)
        assert run.report["summary"]["failed"] == 0, run.report["summary"]["errors"]
        assert run.most == 3
        wait_for_pods(keda, "lm", 1)
        run = load(keda, "lm", 1, 30, *LM)
        assert run.most == 1, "one user needs one pod"


def test_the_classifier_scales_on_what_prometheus_has_scraped(keda: Workspace):
    values = example(1)
    metadata = values["keda"]["triggers"]["saturation"]["metadata"]
    metadata["serverAddress"] = PROMETHEUS
    metadata["query"] = metadata["query"].replace('"inference"', f'"{keda.namespace}"').replace("lm-", "classifier-")
    burning = scaled(keda, "classifier", autoscaling=values, artificialCpuSec=0.1)
    with running_prometheus(keda, "classifier"), burning:
        run = load(keda, "classifier", 4, 45, "--dataset-size", "200")
        assert run.report["summary"]["failed"] == 0, run.report["summary"]["errors"]
        assert run.most == 2
        wait_for_pods(keda, "classifier", 1)


def test_a_client_wakes_the_classifier_from_zero_pods_and_nothing_holds_its_first_request(keda: Workspace):
    trigger = {"type": "kubernetes-workload", "metadata": {"podSelector": "calls=classifier", "value": "5"}}
    scaler = {"enabled": True, "pollingInterval": 5, "cooldownPeriod": 5, "triggers": {"clients": trigger}}
    values = {"minReplicas": 0, "targetCPUUtilizationPercentage": None, "keda": scaler}
    with scaled(keda, "classifier", pods=0, autoscaling=values):
        keda.wait("connections to be refused", refused, 60)
        sleeping = ("--command", "--", "python3", "-c", "import time; time.sleep(600)")
        image = keda.get("deployment", "classifier-service")["spec"]["template"]["spec"]["containers"][0]["image"]
        begun = time.monotonic()
        keda.kubectl("run", "client", f"--image={image}", "--labels=calls=classifier", *sleeping)
        keda.wait("a pod", lambda: keda.ready("classifier") == 1, 60)
        print(f"{time.monotonic() - begun:.0f} s from the client's start to a ready pod")
        keda.kubectl("delete", "pod", "client", "--now")
        keda.wait("no pod again", lambda: not keda.pods("classifier"), 120)
    keda.kubectl("scale", "deployment/classifier-service", "--replicas=1")  # as README says: nothing else would
    wait_for_pods(keda, "classifier", 1)
