"""What each target sends, and which answers it accepts, against the stub."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from loadgen.client.ask import ask
from loadgen.targets import open_inference
from loadgen.targets.lm import lm
from loadgen.targets.mnist import Mnist
from loadgen.targets.outcome import Outcome
from loadgen.targets.template import template
from loadgen.tests.stub import answering

TENSOR = {"name": "probabilities", "shape": [1, 3], "datatype": "FP32", "data": [0.1, 0.2, 0.7]}
LABEL = {"name": "label", "shape": [1], "datatype": "BYTES", "data": ["7"]}
INFERENCE = {"model_name": "m", "model_version": "v1", "outputs": [TENSOR, LABEL]}
GENERATION: dict[str, Any] = {"generated_text": " Paris.", "finish_reason": "stop", "model_version": "v1"}


def first(target, stub, url=None):
    return asyncio.run(ask(target, url or stub.url))[0]


def images():
    return open_inference.images("a/b", Mnist(np.full((1, 784), 255, np.uint8), np.array([7], np.uint8)), [0])


def test_lm_sends_its_prompts_and_counts_tokens(stub):
    stub.handler = answering(GENERATION | {"usage": {"completion_tokens": 3}})
    exchanges = asyncio.run(ask(lm(5, ["a", "b"]), f"http://127.0.0.1:{stub.port}"))
    assert [exchange.reading.completion_tokens for exchange in exchanges] == [3, 3]
    assert sorted(body["prompt"] for body in stub.bodies) == ["a", "b"]
    assert stub.bodies[0]["max_new_tokens"] == 5
    assert stub.received[0].head.startswith("POST /generate ")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"usage": None}, "`usage` is missing"),
        ({"usage": {}}, "`completion_tokens` is missing"),
        ({"usage": {"completion_tokens": True}}, "`completion_tokens` has the wrong type"),
        ({"finish_reason": 3}, "`finish_reason` has the wrong type"),
    ],
)
def test_generation_that_violates_the_contract_is_invalid_and_keeps_its_version(stub, changes, detail):
    stub.handler = answering(GENERATION | {"usage": {"completion_tokens": 3}} | changes)
    exchange = first(lm(5), stub)
    assert (exchange.outcome, exchange.detail, exchange.version) == (Outcome.INVALID, detail, "v1")


def test_open_inference_sends_a_tensor_and_judges_the_label(stub):
    stub.handler = answering(INFERENCE)
    exchange = first(images(), stub, f"http://127.0.0.1:{stub.port}")
    assert (exchange.outcome, exchange.version, exchange.reading.correct) == (Outcome.OK, "v1", True)
    assert stub.received[0].head.startswith("POST /v2/models/a%2Fb/infer ")
    (tensor,) = stub.bodies[0]["inputs"]
    assert (tensor["name"], tensor["shape"], tensor["datatype"]) == ("features", [1, 784], "FP32")
    assert tensor["data"] == [1] * 784


@pytest.mark.parametrize(
    ("outputs", "detail"),
    [
        ([TENSOR | {"shape": [2, 3]}], "an output's `data` does not have the size of its `shape`"),
        ([TENSOR | {"shape": [-1, -3]}], "an output's `data` does not have the size of its `shape`"),
        ([TENSOR | {"data": None}], "`data` is missing"),
        ([None], "`data` is missing"),
        ({}, "`outputs` has the wrong type"),
    ],
)
def test_inference_that_violates_the_protocol_is_invalid(stub, outputs, detail):
    stub.handler = answering(INFERENCE | {"outputs": outputs})
    exchange = first(images(), stub)
    assert (exchange.outcome, exchange.detail) == (Outcome.INVALID, detail)


def test_template_is_filled_with_json_values_in_turn(stub):
    rows: list[dict[str, Any]] = [{"text": 'a "quoted" word', "n": 1}, {"text": "ä", "n": None}]
    target = template('{"text": $text, "n": $n, "price": "$$5"}', rows)
    asyncio.run(ask(target, stub.url))
    expected: list[dict[str, Any]] = [{"price": "$5", **row} for row in rows]
    assert sorted(stub.bodies, key=str) == sorted(expected, key=str)


def test_template_of_another_type_is_filled_as_it_is(stub):
    asyncio.run(ask(template("q=$q", [{"q": "a b"}], content_type="text/plain"), stub.url))
    assert stub.received[0].body == b"q=a b"
    assert "Content-Type: text/plain\r\n" in stub.received[0].head


def test_get_has_no_body(stub):
    assert first(template("", method="GET"), stub).outcome == Outcome.OK
    assert "Content-Length" not in stub.received[0].head and stub.received[0].body == b""


@pytest.mark.parametrize(("status", "outcome"), [(201, Outcome.OK), (302, Outcome.HTTP), (404, Outcome.HTTP)])
def test_every_2xx_is_a_success_of_a_template(stub, status, outcome):
    stub.handler = answering(b"", status)
    assert first(template("{}"), stub).outcome == outcome


def test_template_without_a_value_is_refused_with_its_row():
    with pytest.raises(ValueError, match=r"row 1 has no value for \$b"):
        template('{"b": $b}', [{"b": 1}, {"a": 1}])
    with pytest.raises(ValueError, match="placeholder"):
        template("$5")


def test_samples_are_json():
    assert all(json.loads(sample.body) for sample in [*lm(1).samples, *images().samples])


@pytest.mark.parametrize("tokens", [-1, 2**31, 10**30])
def test_number_of_tokens_that_is_no_count_is_invalid(stub, tokens):
    stub.handler = answering(GENERATION | {"usage": {"completion_tokens": tokens}})
    exchange = first(lm(5), stub)
    assert (exchange.outcome, exchange.detail) == (Outcome.INVALID, "`completion_tokens` is no number of tokens")
