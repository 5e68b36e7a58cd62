"""A minute of concurrent clients of all kinds: each gets its own answer, and nothing leaks."""

import json
import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from apps.lm.tests import process, tiny
from apps.serving.tests.processes import Process, resident_bytes, until

pytestmark = [pytest.mark.service, pytest.mark.full]
SECONDS, SETTLED_SECONDS, CLIENTS = 60, 20, 12
GROWTH_BYTES = 16_000_000
CONTEXT = 512
PROMPTS = ["the fox", "once upon a time there was", "the quick brown fox " * 8, "girl " * 30]
VARIANTS = ("whole", "streamed", "sampled", "too long", "disconnects")


def body_of(variant: str, prompt: str) -> dict[str, object]:
    """The body of a request."""
    body: dict[str, object] = {"prompt": prompt, "max_new_tokens": 60}
    if variant == "sampled":
        return body | {"temperature": 1.0, "top_p": 0.9, "seed": len(prompt)}
    return body | {"prompt": "fox " * CONTEXT} if variant == "too long" else body


def result_of(client: httpx.Client, variant: str, prompt: str) -> object:
    """Send a request; return its text, or its status if that is not 200."""
    body = body_of(variant, prompt)
    if variant in ("streamed", "disconnects"):
        with client.stream("POST", "/generate", json=body | {"stream": True}) as answer:
            events = (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)
            return next(events)["text"] if variant == "disconnects" else [*events][-1]["generated_text"]
    answer = client.post("/generate", json=body)
    return answer.json()["generated_text"] if answer.status_code == 200 else answer.status_code


def run_client(service: Process, number: int, end: float) -> list[tuple[str, str, object]]:
    """Send one request after another until `end`, in a random order; return each with its result."""
    choice, results = random.Random(number).choice, []
    with process.client(service) as client:
        while time.monotonic() < end:
            variant, prompt = choice(VARIANTS), choice(PROMPTS)
            results.append((variant, prompt, result_of(client, variant, prompt)))
    return results


def load_of(service: Process) -> dict[str, float]:
    """The requests and tokens in the service, by its own metrics."""
    with process.client(service) as client:
        matches = re.findall(
            r"^(vllm:num_requests_\w+|inference_batch_tokens)\{.*\} (\S+)$", client.get("/metrics").text, re.M
        )
    return {name: float(value) for name, value in matches}


def test_a_minute_of_concurrent_clients_mixes_up_no_answers_and_leaks_nothing(tmp_path):
    folder = tiny.publish(tiny.save("gpt2", tmp_path / "small_v1", context=CONTEXT))
    with process.serving(model_name=folder, max_total_tokens=CONTEXT) as service, ThreadPoolExecutor(CLIENTS) as pool:
        with process.client(service) as client:
            alone = {
                (variant, prompt): result_of(client, variant, prompt) for variant in VARIANTS for prompt in PROMPTS
            }
        end = time.monotonic() + SECONDS
        clients = [pool.submit(run_client, service, number, end) for number in range(CLIENTS)]
        until(lambda: time.monotonic() > end - SECONDS + SETTLED_SECONDS, SECONDS)
        settled = resident_bytes(service.popen.pid)
        results = [result for client_run in clients for result in client_run.result()]
        until(lambda: set(load_of(service).values()) == {0.0})
        grown = resident_bytes(service.popen.pid) - settled
        descriptors = len(list(Path(f"/proc/{service.popen.pid}/fd").iterdir()))
    assert all(result == alone[variant, prompt] for variant, prompt, result in results)
    assert min(Counter(variant for variant, *_ in results).values()) > 50
    assert {alone["too long", prompt] for prompt in PROMPTS} == {422}
    assert grown < GROWTH_BYTES
    assert descriptors < 40
