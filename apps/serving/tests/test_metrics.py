"""/metrics: names, labels and values that dashboards, alerts and autoscalers rely on."""

import asyncio
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.serving import startup
from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.machine import cpu
from apps.serving.metrics import Metrics


def samples(text: str) -> dict[tuple, float]:
    """Return a map from (name, *label values in the order of the labels) to the value."""
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_requests_are_counted_by_route_method_and_status_except_for_probes(client):
    for seconds in (0, 0, "wrong"):
        client.post("/sleep", json={"seconds": seconds})
    client.get("/wp-login.php")
    client.get("/healthz")
    values = samples(client.get("/metrics").text)
    counts = {key[1:]: value for key, value in values.items() if key[0] == "inference_requests_total"}
    assert counts == {("POST", "/sleep", "200"): 2, ("POST", "/sleep", "422"): 1, ("GET", "unmatched", "404"): 1}
    assert values["inference_request_duration_seconds_count", "/sleep"] == 3


def test_time_is_split_into_queue_compute_and_total(toy):
    async def scenario() -> dict:
        client, _ = await toy(max_in_flight=1)
        async with client:
            await asyncio.gather(*(client.post("/sleep", json={"seconds": 0.1}) for _ in range(3)))
            return samples((await client.get("/metrics")).text)

    values = asyncio.run(scenario())
    assert values["inference_queue_seconds_count",] == values["inference_compute_seconds_count",] == 3
    queued, computed = values["inference_queue_seconds_sum",], values["inference_compute_seconds_sum",]
    assert computed >= 0.3, "three times 0.1 s"
    assert queued >= 0.2, "0, 0.1 and 0.2 s, less what the requests arrive later"
    assert queued + computed <= values["inference_request_duration_seconds_sum", "/sleep"]


@pytest.mark.slow
def test_computing_and_waiting_requests_are_gauges(toy):
    async def scenario() -> dict:
        client, runtime = await toy(max_in_flight=2)
        async with client:
            requests = [asyncio.create_task(client.post("/sleep", json={"seconds": 0.3})) for _ in range(5)]
            async with asyncio.timeout(5):
                while runtime.admission.waiting < 3:
                    await asyncio.sleep(0.01)
            values = samples((await client.get("/metrics")).text)
            await asyncio.gather(*requests)
            return values

    values = asyncio.run(scenario())
    assert (values["inference_in_flight",], values["inference_queue_depth",]) == (2, 3)
    assert values["inference_saturation",] == 2.5


def test_the_model_is_a_metric_once_it_is_loaded(starting):
    assert "inference_model_info{" not in starting.get("/metrics").text
    starting.portal.call(startup.load, starting.app.state.runtime)
    values = samples(starting.get("/metrics").text)
    assert values["inference_model_info", "toy", "f" * 64, "v1"] == 1


def test_openmetrics_is_returned_when_the_accept_header_asks_for_it(client):
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("escaping", ["", ";escaping=underscores", ";escaping=allow-utf-8"])
@pytest.mark.parametrize("media_type", ["application/openmetrics-text", "text/plain"])
def test_names_keep_their_colons_whatever_a_scraper_asks_for(client, media_type, escaping):
    registry = client.app.state.runtime.metrics.registry
    counter = prometheus_client.Counter("toy:colons", "A name as vLLM's are.", registry=registry)
    text = client.get("/metrics", headers={"accept": f"{media_type};version=1.0.0{escaping};q=0.5"}).text
    registry.unregister(counter)
    assert "\ntoy:colons_total 0.0\n" in text


@pytest.mark.parametrize(
    "accept, media_type",
    [
        ('application/openmetrics-text; version="1.0.0"', "application/openmetrics-text"),
        ("application/openmetrics-text; version=1.x", "text/plain"),
        ("text/plain; version=latest", "text/plain"),
        ("text/plain; version=", "text/plain"),
    ],
)
def test_no_version_in_the_accept_header_is_an_error(client, accept, media_type):
    answer = client.get("/metrics", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)


def test_cpu_time_of_the_process_is_measured(client):
    assert samples(client.get("/metrics").text)["process_cpu_seconds_total",] > 0


def test_limits_and_throttling_are_exported_where_there_are_limits(tmp_path):
    def names_and_values() -> dict[tuple, float]:
        metrics = Metrics(Admission(1, 1), ByteBudget(1), cgroups=tmp_path, proc=tmp_path)
        values = samples(metrics.exposition("")[0].decode())
        return {key: value for key, value in values.items() if "_limit_bytes" in key[0] or "_cfs_" in key[0]}

    assert names_and_values() == {}
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("536870912\n")
    (tmp_path / "cpu.stat").write_text("nr_periods 100\nnr_throttled 7\nthrottled_usec 1250000\n")
    assert names_and_values() == {
        ("inference_memory_limit_bytes",): 536870912,
        ("inference_cpu_cfs_periods_total",): 100,
        ("inference_cpu_cfs_throttled_periods_total",): 7,
        ("inference_cpu_cfs_throttled_seconds_total",): 1.25,
    }


def test_throttling_is_read_from_both_versions_of_cgroups(tmp_path: Path):
    def read(line: str, folder: str, stat: str) -> dict | None:
        proc, cgroups = tmp_path / folder / "proc", tmp_path / folder / "cgroups"
        (proc / "self").mkdir(parents=True)
        (proc / "self" / "cgroup").write_text(line)
        group = cgroups / folder
        group.mkdir(parents=True)
        (group / "cpu.stat").write_text(stat)
        return cpu.throttling(cgroups, proc)

    version2 = "usage_usec 5\nnr_periods 10\nnr_throttled 3\nthrottled_usec 2500000\n"
    version1 = "nr_periods 10\nnr_throttled 3\nthrottled_time 2500000000\n"
    expected = {"periods": 10, "throttled": 3, "seconds": 2.5}
    assert read("0::/pod\n", "pod", version2) == expected
    assert read("4:cpu,cpuacct:/\n", "cpu", version1) == expected
    assert read("0::/free\n", "free", "usage_usec 5\n") is None
