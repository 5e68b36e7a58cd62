"""/metrics has tokens and their times under vLLM's names, for dashboards and autoscalers."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apps.lm.tests.conftest import portal_of, runtime_in, serving
from apps.serving.tests.processes import until


def samples(client) -> dict[str, float]:
    """The samples without buckets, by name; those of vLLM all have the model's name."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    result = [sample for family in families for sample in family.samples if not sample.name.endswith("_bucket")]
    assert {s.labels["model_name"] for s in result if s.name.startswith("vllm:")} == {"tiny-gpt2"}
    return {sample.name: sample.value for sample in result}


def test_tokens_are_counted_and_timed(folders):
    with serving(folders["gpt2"]) as client:
        before = samples(client)
        assert before["vllm:prompt_tokens_total"] == before["vllm:time_to_first_token_seconds_count"] == 0
        first = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 5}).json()
        client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 3, "stream": True})
        client.post("/generate", json={"prompt": ""})
        after = samples(client)
    assert (after["vllm:prompt_tokens_total"], after["vllm:generation_tokens_total"]) == (4, 8)
    assert after["vllm:time_to_first_token_seconds_count"] == 2
    assert after["vllm:time_to_first_token_seconds_sum"] >= first["timings"]["first_token_seconds"] - 1e-4
    assert after["vllm:inter_token_latency_seconds_count"] == 6
    assert after["vllm:inter_token_latency_seconds_sum"] > 0


@pytest.mark.slow
def test_a_full_batch_saturates_the_service_and_a_request_that_waits_too_long_is_a_503(folders):
    with serving(folders["gpt2"], max_total_tokens=40, max_batch_total_tokens=50, request_timeout_seconds=1) as client:
        place = runtime_in(client).admission.place(20)
        with portal_of(client).wrap_async_context_manager(place), ThreadPoolExecutor(1) as pool:
            future = pool.submit(client.post, "/generate", json={"prompt": "the fox", "max_new_tokens": 38})
            until(lambda: samples(client)["vllm:num_requests_waiting"] == 1)
            full, answer = samples(client), future.result()
        idle = samples(client)
    assert full["vllm:num_requests_running"] == 1
    assert (full["inference_batch_tokens"], full["inference_batch_tokens_limit"]) == (20, 50)
    assert full["inference_saturation"] == (20 + 40) / 50
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "No place to compute was free within 1 s" in answer.json()["detail"]
    assert (idle["inference_batch_tokens"], idle["inference_saturation"]) == (0, 0)
