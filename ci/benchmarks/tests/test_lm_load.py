"""The client that times streamed answers, against a server that streams at a known pace."""

import asyncio
import json
import math

import pytest

from ci.benchmarks import lm_load

PAUSE = 0.05


def ask(handle, texts: list[str]) -> lm_load.Heard:
    """What comes of a server that answers by `handle(body, writer)`."""

    async def scenario() -> lm_load.Heard:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            await handle(json.loads(await reader.readexactly(length)), writer)
            writer.close()

        async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
            return await lm_load.ask(server.sockets[0].getsockname()[1], "model", texts, tokens=4)

    return asyncio.run(scenario())


async def paced(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in [*body["prompt"], ""]:
        await asyncio.sleep(PAUSE)
        event = b"data: " + json.dumps({"choices": [{"text": piece}]}).encode() + b"\n\n"
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
    writer.write(b"d\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def test_tokens_of_all_answers_are_counted_and_timed_as_they_come():
    heard = ask(paced, ["abcd", "efgh"])
    assert sorted(answer.text for answer in heard.answers) == ["abcd", "efgh"]
    assert heard.tokens == 8, "what has no text is no token"
    assert heard.first(50) == pytest.approx(PAUSE, abs=PAUSE / 2)
    assert heard.next(50) == pytest.approx(PAUSE, abs=PAUSE / 2)
    assert heard.rate == pytest.approx(8 / (5 * PAUSE), rel=0.4)


async def refused(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


async def broken(body: dict, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\n\r\ndata: {"choices": [{"text": "a"}]}\n\ndata: {"error": {}}\n\n')


async def cut_off(body: dict, writer: asyncio.StreamWriter) -> None:
    await paced(body | {"prompt": "abc"}, writer)


@pytest.mark.parametrize(
    ("handle", "kind"),
    [(refused, "status 503"), (broken, "an error in the stream"), (cut_off, "an answer that is cut off")],
)
def test_what_is_no_answer_is_counted_by_its_kind(handle, kind):
    heard = ask(handle, ["a", "b"])
    assert (heard.answers, heard.failures) == ([], {kind: 2})
    assert heard.first(50) == heard.next(99) == math.inf


def test_prompts_differ_from_their_first_subject_on():
    for tokens in lm_load.PROMPTS:
        assert len(set(lm_load.prompts(tokens, 16))) == 16
