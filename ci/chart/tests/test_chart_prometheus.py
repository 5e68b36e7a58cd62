"""Prometheus scrapes running services and answers every query of the chart's dashboard and alerts."""

import json
import math
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml

from apps.classifier.tests import forests
from apps.lm.tests.process import serving
from apps.serving.machine import cpu
from apps.serving.machine.memory import memory_limit
from apps.serving.tests.processes import Process, running, until
from ci.chart import rendering
from ci.chart.rendering import CHART, of_kind
from ci.tools import extra

pytestmark = pytest.mark.full
RELEASE = "classifier-service"
OPTIONS = ("dashboard.enabled=true", "prometheusRule.enabled=true", "serviceMonitor.enabled=true")
SLOW = "prometheusRule.latencySeconds=0.2"
FEATURES = {"features": forests.images(1)[0].tolist(), "scale": 255}
OVERLOADED = {"ARTIFICIAL_CPU_SEC": 0.3, "MAX_QUEUE": 1}


class Monitoring(NamedTuple):
    """A release's rendered monitoring: the queries of its dashboard, its rules, and the scraped path."""

    queries: list[str]
    rules: list[dict]
    path: str


def monitoring(app: str) -> Monitoring:
    """Render an app's monitoring; leave out queries of resource limits that this process does not have."""
    options = [f"--set={option}" for option in (*OPTIONS, SLOW)]
    release = f"{app}-service"
    rendered = rendering.template(f"--values={CHART}/values-{app}.yaml", *options, release=release)
    (dashboard,) = of_kind(rendered, "ConfigMap")[release]["data"].values()
    queries = [target["expr"] for panel in json.loads(dashboard)["panels"] for target in panel["targets"]]
    absent = {"inference_memory_limit_bytes": memory_limit() is None, "inference_cpu_cfs": cpu.throttling() is None}
    queries = [query for query in queries if not any(name in query for name, missing in absent.items() if missing)]
    groups = of_kind(rendered, "PrometheusRule")[release]["spec"]["groups"]
    (endpoint,) = of_kind(rendered, "ServiceMonitor")[release]["spec"]["endpoints"]
    return Monitoring(queries, [rule for group in groups for rule in group["rules"]], endpoint["path"])


class Prometheus:
    """A Prometheus server that scrapes the pods set by `watch` every second."""

    def __init__(self, folder: Path, path: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url, self.targets = f"http://{address}", folder / "targets.json"
        self.watch({})
        discovery = [{"files": [str(self.targets)]}]
        scrape = {"job_name": RELEASE, "metrics_path": path, "file_sd_configs": discovery}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        command = [
            str(extra.prometheus("prometheus")),
            *options,
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
        self.popen = subprocess.Popen(command)
        until(self.ready, 30)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def watch(self, pods: dict[str, Process], release: str = RELEASE) -> None:
        """Scrape these pods of a release, with the labels that the operator adds."""
        labels = {"namespace": "inference", "job": release}
        groups = [
            {"targets": [f"127.0.0.1:{process.port}"], "labels": labels | {"pod": pod}} for pod, process in pods.items()
        ]
        self.targets.with_suffix(".new").write_text(json.dumps(groups))
        self.targets.with_suffix(".new").replace(self.targets)

    def ask(self, query: str) -> list[float]:
        """Return the current values of a query."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query.replace("$__rate_interval", "15s")})
        assert answer.status_code == 200, answer.text
        return [float(sample["value"][1]) for sample in answer.json()["data"]["result"]]


@pytest.fixture
def prometheus(tmp_path) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path, monitoring("classifier").path)
    yield server
    server.popen.terminate()
    server.popen.wait(10)


@pytest.fixture
def pod(tmp_path) -> Iterator[Callable[..., Process]]:
    """Start a classifier of a version; the test's end stops it."""
    with ExitStack() as pods:

        def start(version: str, **settings: float) -> Process:
            artifact = tmp_path / f"tiny_{version}.joblib"
            forests.publish(forests.digits_forest(trees=2), artifact)
            return pods.enter_context(running("apps.classifier", ready=True, MODEL_PATH=artifact, **settings))

        yield start


def load(process: Process, prometheus: Prometheus, query: str, path: str = "/predict", body: object = FEATURES) -> None:
    """Send requests, eight at a time, until the query has an answer."""

    def send(_: int) -> int:
        return httpx.post(f"{process.url}{path}", json=body, timeout=30).status_code

    def answered() -> bool:
        assert set(pool.map(send, range(8))) <= {200, 503}
        return any(map(math.isfinite, prometheus.ask(query)))

    with ThreadPoolExecutor(8) as pool:
        until(answered, 30)


def test_dashboard_and_alerts_show_a_healthy_pod_then_an_overloaded_one_of_another_model_then_no_pod(prometheus, pod):
    queries, rules, _ = monitoring("classifier")
    keda = yaml.safe_load(rendering.readme_yaml("Scale on more than CPU")[1])["autoscaling"]["keda"]
    queries.append(keda["triggers"]["saturation"]["metadata"]["query"].replace("lm-service", RELEASE))

    def firing() -> set[str]:
        return {rule["alert"] for rule in rules if prometheus.ask(rule["expr"])}

    healthy = pod("v1")
    prometheus.watch({"a": healthy})
    for query in queries:
        load(healthy, prometheus, query)
    assert firing() == set()

    overloaded = pod("v2", **OVERLOADED)
    prometheus.watch({"a": healthy, "b": overloaded})
    errors = next(rule["expr"] for rule in rules if rule["alert"] == "InferenceServiceErrors")
    load(overloaded, prometheus, errors)
    until(lambda: firing() == {"InferenceServiceErrors", "InferenceServiceSlow", "InferenceServiceMixedModels"}, 30)

    for process in (healthy, overloaded):
        process.popen.kill()
    until(lambda: "InferenceServiceDown" in firing(), 30)


def test_every_query_of_the_language_models_dashboard_has_an_answer_and_no_alert_fires(prometheus, tmp_path):
    queries, rules, _ = monitoring("lm")
    from apps.lm.tests import tiny  # imports torch, which takes seconds

    folder = tiny.publish(tiny.save("gpt2", tmp_path / "tiny_v1"))
    body = {"prompt": "the fox", "max_new_tokens": 8}
    with serving(model_name=folder) as process:
        prometheus.watch({"a": process}, "lm-service")
        for query in queries:
            load(process, prometheus, query, "/generate", body)
        assert {rule["alert"] for rule in rules if prometheus.ask(rule["expr"])} == set()
