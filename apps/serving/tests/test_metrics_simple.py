"""/metrics-simple: counts and latencies of the service's own endpoints."""

from apps.serving.admission import Admission
from apps.serving.byte_budget import ByteBudget
from apps.serving.metrics import Metrics


def test_requests_errors_and_latencies_are_counted_except_for_probes(client):
    for seconds in (0, 0, "wrong"):
        client.post("/sleep", json={"seconds": seconds})
    client.get("/healthz")
    answer = client.get("/metrics-simple").json()
    assert (answer["requests"], answer["errors"]) == (3, 1)
    assert answer["by_status"] == {"200": 2, "422": 1}
    assert answer["model_version"] == "v1"
    latency = answer["latency_seconds"]
    assert latency["window"] == 3
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"] < 5


def test_percentiles_are_nearest_ranks():
    metrics = Metrics(Admission(1, 1), ByteBudget(1))
    for milliseconds in range(100, 0, -1):
        metrics.observe("/sleep", "POST", 200, milliseconds / 1000)
    latency = metrics.simple()["latency_seconds"]
    assert (latency["p50"], latency["p95"], latency["p99"], latency["max"]) == (0.05, 0.095, 0.099, 0.1)
    assert abs(latency["mean"] - 0.0505) < 1e-12


def test_without_requests_there_are_no_latencies(client):
    latency = client.get("/metrics-simple").json()["latency_seconds"]
    assert latency == {"window": 0, "mean": None, "p50": None, "p95": None, "p99": None, "max": None}
