"""Every request is counted once, as the server knows it: by outcome, status, pod and version."""

import asyncio
import random
from collections import Counter

import pytest

from loadgen.scenarios.schedule import Segment, arrivals
from loadgen.targets.lm import lm
from loadgen.targets.target import Sample
from loadgen.targets.template import Template
from loadgen.tests.stub import answer, answering

pytestmark = pytest.mark.slow  # each run starts processes


def counts(document):
    return Counter((row["outcome"], row["status"], row["served_by"]) for row in document["requests"])


def test_mixed_faults_are_accounted_for_to_the_request(stub, plan, carry_out):
    drawn = random.Random(1)
    served: Counter[tuple] = Counter()

    async def handler(request):
        fault = drawn.choice(["ok", "ok", "ok", "busy", "broken", "cut", "garbage", "slow"])
        pod = drawn.choice(["pod-a", "pod-b"])
        headers = {"X-Served-By": pod}
        if fault == "ok":
            served["ok", 200, pod] += 1
            request.send(answer(headers=headers))
        elif fault == "busy":
            served["http", 503, pod] += 1
            request.send(answer({"title": "Busy"}, 503, headers))
        elif fault == "cut":
            served["reset", 200, pod] += 1
            request.send(answer(headers=headers)[:-5])
            request.writer.close()
        elif fault == "garbage":
            served["invalid", None, None] += 1
            request.send(b"\x00\x01garbage")
        elif fault == "slow":
            served["timeout", None, None] += 1
            await asyncio.sleep(0)  # and no answer
        else:
            served["http", 500, pod] += 1
            request.send(answer(b"", 500, headers))

    stub.handler = handler
    due = arrivals([Segment(1.0, 200, 200)])
    document, _ = carry_out(plan(1.0, arrivals=due, concurrency=500, max_in_flight=500, workers=2, timeout_seconds=0.5))
    assert counts(document) == served
    summary = document["summary"]
    assert summary["requests"] == stub.requests == len(due) == 200
    assert summary["succeeded"] == sum(count for (outcome, *_), count in served.items() if outcome == "ok")
    assert sum(error["requests"] for error in summary["errors"]) == summary["failed"]
    assert sum(document["timeline"]["due"]) == 200 == sum(document["timeline"]["started"])
    pods = Counter({entry["pod"]: entry["requests"] for entry in summary["served_by"]})
    assert pods == Counter(row["served_by"] for row in document["requests"] if row["status"])
    # A failure counts as at least its timeout.
    assert summary["response_seconds"]["p99"] >= 0.5 > summary["response_seconds_succeeded"]["max"]


def test_samples_are_sent_in_turn_over_all_processes(stub, plan, carry_out):
    target = Template(samples=tuple(Sample(b'{"n": %d}' % n, n) for n in range(7)))
    document, _ = carry_out(plan(0.3, target=target, concurrency=4, workers=2))
    sent = Counter(body["n"] for body in stub.bodies)
    assert sent == Counter(row["sample_index"] for row in document["requests"])
    assert set(sent) == set(range(7))


def test_hostile_texts_are_bounded_and_the_document_stays_valid(stub, plan, carry_out):
    async def handler(request):
        evil = f"\x1b[2J\ud800{request.number}" + "x" * 5000
        request.send(answer({"title": evil, "model_version": evil}, 500, {"X-Served-By": "é" + "p" * 5000}))

    stub.handler = handler
    document, recorded = carry_out(plan(0.3))
    assert all(len(row["detail"]) <= 200 and len(row["served_by"]) <= 200 for row in document["requests"])
    assert len((recorded.folder / "texts-0").read_bytes()) < 2_000_000


@pytest.mark.parametrize(("text", "seconds"), [("1", 1), ("12345678", 12_345_678), ("9" * 60, 2**31)])
def test_retry_after_is_obeyed_only_on_demand_and_at_most_until_the_end(stub, plan, carry_out, text, seconds):
    stub.handler = answering(b"", 503, {"Retry-After": text})
    document, _ = carry_out(plan(0.4, obey_retry_after=True))
    assert document["summary"]["requests"] == stub.requests == 1 == document["summary"]["retry_after"]
    document, _ = carry_out(plan(0.2))
    assert document["summary"]["requests"] > 1
    assert document["requests"][0]["retry_after"] == seconds


def test_hostile_number_of_tokens_costs_no_other_request(stub, plan, carry_out):
    async def handler(request):
        tokens = 10**30 if request.number % 2 else 3
        usage = {"completion_tokens": tokens}
        request.send(answer({"generated_text": "", "finish_reason": "stop", "model_version": "v1", "usage": usage}))

    stub.handler = handler
    document, _ = carry_out(plan(0.3, target=lm(3), timeout_seconds=0.2))
    outcomes = Counter(row["outcome"] for row in document["requests"])
    assert set(outcomes) == {"ok", "invalid"} and abs(outcomes["ok"] - outcomes["invalid"]) <= 1
    assert document["summary"]["completion_tokens"]["total"] == 3 * outcomes["ok"]
