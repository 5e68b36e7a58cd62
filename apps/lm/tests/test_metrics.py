"""/metrics under vLLM's names: what its users' dashboards and autoscalers read."""

from concurrent.futures import ThreadPoolExecutor

from prometheus_client.parser import text_string_to_metric_families

from apps.lm.tests.conftest import serving
from apps.serving.tests.processes import until


def measured(client) -> dict[str, float]:
    """The samples without buckets, by name; each carries the model's name if any."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if not sample.name.endswith("_bucket")]
    assert {s.labels["model_name"] for s in samples if s.name.startswith("vllm:")} == {"tiny-gpt2"}
    return {sample.name: sample.value for sample in samples}


def test_tokens_and_their_times_are_counted(folders):
    with serving(folders["gpt2"]) as client:
        before = measured(client)
        assert before["vllm:prompt_tokens_total"] == before["vllm:time_to_first_token_seconds_count"] == 0
        first = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 5}).json()
        client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 3, "stream": True})
        client.post("/generate", json={"prompt": ""})
        found = measured(client)
    assert (found["vllm:prompt_tokens_total"], found["vllm:generation_tokens_total"]) == (4, 8)
    assert found["vllm:time_to_first_token_seconds_count"] == 2
    assert found["vllm:time_to_first_token_seconds_sum"] >= first["timings"]["first_token_seconds"] - 1e-4
    assert found["vllm:inter_token_latency_seconds_count"] == 6
    assert found["vllm:inter_token_latency_seconds_sum"] > 0


def test_room_for_tokens_is_what_saturates_and_who_finds_none_in_time_is_told_to_come_back(folders):
    with serving(folders["gpt2"], max_total_tokens=40, max_batch_total_tokens=50, request_timeout_seconds=1) as client:
        taken = client.app.state.runtime.admission.place(20)
        with client.portal.wrap_async_context_manager(taken), ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.post, "/generate", json={"prompt": "the fox", "max_new_tokens": 38})
            until(lambda: measured(client)["vllm:num_requests_waiting"] == 1)
            found, answer = measured(client), asked.result()
        idle = measured(client)
    assert found["vllm:num_requests_running"] == 1
    assert (found["inference_batch_tokens"], found["inference_batch_tokens_limit"]) == (20, 50)
    assert found["inference_saturation"] == (20 + 40) / 50
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "No place to compute was free within 1 s" in answer.json()["detail"]
    assert (idle["inference_batch_tokens"], idle["inference_saturation"]) == (0, 0)
