"""The client that times streamed answers, against a server that streams at a known pace."""

import asyncio
import json
import math

import pytest

from ci.benchmarks import lm_load
from loadgen.tests.stub import Request, Stub

PAUSE = 0.05


def complete(handle, texts: list[str]) -> lm_load.StreamResult:
    """Return the result of `texts`, sent to a server that calls `handle(body, writer)` for each request."""

    async def handler(request: Request) -> None:
        await handle(request.json(), request.writer)
        request.writer.close()

    with Stub(handler=handler) as stub:
        return lm_load.complete(stub.port, "model", texts, max_tokens=4)


async def paced(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in [*body["prompt"], ""]:
        await asyncio.sleep(PAUSE)
        event = b"data: " + json.dumps({"choices": [{"text": piece}]}).encode() + b"\n\n"
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def test_tokens_of_all_answers_are_counted_and_timed_as_they_arrive():
    result = complete(paced, ["abcd", "efgh"])
    assert sorted(answer.text for answer in result.answers) == ["abcd", "efgh"]
    assert result.tokens == 8, "a piece without text is not a token"
    for answer in result.answers:
        # On a busy machine pieces are late, and two may arrive together; the pauses before each add up.
        assert all(time >= (n + 1) * PAUSE for n, time in enumerate(answer.times))
        assert answer.times == sorted(answer.times) and answer.times[-1] <= result.seconds
    assert result.rate == 8 / result.seconds


def test_percentiles_are_of_first_tokens_and_of_gaps_within_an_answer():
    result = lm_load.StreamResult(
        1.0, [lm_load.Answer("abc", [0.1, 0.2, 0.5]), lm_load.Answer("ab", [0.4, 0.6]), lm_load.Answer("a", [0.3])]
    )
    assert [result.first_token_seconds(percent) for percent in (1, 50, 99)] == [0.1, 0.3, 0.4]
    assert [result.inter_token_seconds(percent) for percent in (1, 50, 99)] == pytest.approx([0.1, 0.2, 0.3])


async def refused(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


async def broken(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices": [{"text": "a"}]}\n\ndata: {"error": "error"}\n\n')


async def cut_off(body: dict, writer: asyncio.StreamWriter) -> None:
    await paced(body | {"prompt": "abc"}, writer)


@pytest.mark.parametrize(
    ("handle", "cause"),
    [(refused, "http: Service Unavailable"), (broken, "stream: error"), (cut_off, "an answer that is cut off")],
)
def test_an_incomplete_answer_is_counted_by_its_cause(handle, cause):
    result = complete(handle, ["a", "b"])
    assert (result.answers, result.failures) == ([], {cause: 2})
    assert result.first_token_seconds(50) == result.inter_token_seconds(99) == math.inf


def test_prompts_of_all_subjects_differ():
    for tokens in lm_load.PROMPTS:
        assert len(set(lm_load.prompts(tokens, 16))) == 16
