"""A minute of readers who ask, stream, draw, err and hang up in each other's company: each gets its own answer."""

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
SECONDS, SETTLED_SECONDS, READERS = 60, 20, 12
GROWTH_BYTES = 16_000_000
CONTEXT = 512
PROMPTS = ["the fox", "once upon a time there was", "the quick brown fox " * 8, "girl " * 30]
KINDS = ("whole", "streamed", "drawn", "too long", "hangs up")


def body_of(kind: str, prompt: str) -> dict:
    """What a reader of this kind asks."""
    body = {"prompt": prompt, "max_new_tokens": 60}
    if kind == "drawn":
        return body | {"temperature": 1.0, "top_p": 0.9, "seed": len(prompt)}
    return body | {"prompt": "fox " * CONTEXT} if kind == "too long" else body


def asked(client: httpx.Client, kind: str, prompt: str) -> object:
    """What becomes of it: a text, or a status."""
    body = body_of(kind, prompt)
    if kind in ("streamed", "hangs up"):
        with client.stream("POST", "/generate", json=body | {"stream": True}) as answer:
            events = (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)
            return next(events)["text"] if kind == "hangs up" else [*events][-1]["generated_text"]
    answer = client.post("/generate", json=body)
    return answer.json()["generated_text"] if answer.status_code == 200 else answer.status_code


def reads(service: Process, number: int, ends: float) -> list[tuple[str, str, object]]:
    """Ask one thing after another, in an order of one's own."""
    chance, seen = random.Random(number), []
    with process.client(service) as client:
        while time.monotonic() < ends:
            kind, prompt = chance.choice(KINDS), chance.choice(PROMPTS)
            seen.append((kind, prompt, asked(client, kind, prompt)))
    return seen


def left(service: Process) -> dict[str, float]:
    """What the service still holds, by its own metrics."""
    with process.client(service) as client:
        found = re.findall(
            r"^(vllm:num_requests_\w+|inference_batch_tokens)\{.*\} (\S+)$", client.get("/metrics").text, re.M
        )
    return {name: float(value) for name, value in found}


def test_a_minute_of_all_kinds_of_readers_mixes_up_no_answers_and_leaves_nothing_behind(tmp_path):
    folder = tiny.publish(tiny.save("gpt2", tmp_path / "small_v1", context=CONTEXT))
    with process.serving(model_name=folder, max_total_tokens=CONTEXT) as service, ThreadPoolExecutor(READERS) as pool:
        with process.client(service) as client:
            alone = {(kind, prompt): asked(client, kind, prompt) for kind in KINDS for prompt in PROMPTS}
        ends = time.monotonic() + SECONDS
        readers = [pool.submit(reads, service, number, ends) for number in range(READERS)]
        until(lambda: time.monotonic() > ends - SECONDS + SETTLED_SECONDS, SECONDS)
        settled = resident_bytes(service.popen.pid)
        seen = [one for reader in readers for one in reader.result()]
        until(lambda: set(left(service).values()) == {0.0})
        grown = resident_bytes(service.popen.pid) - settled
        descriptors = len(list(Path(f"/proc/{service.popen.pid}/fd").iterdir()))
    assert all(result == alone[kind, prompt] for kind, prompt, result in seen)
    assert min(Counter(kind for kind, *_ in seen).values()) > 50, "of each kind"
    assert {alone["too long", prompt] for prompt in PROMPTS} == {422}
    assert grown < GROWTH_BYTES
    assert descriptors < 40
