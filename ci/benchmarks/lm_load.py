"""Sends prompts to language models, and records when each piece of the streamed answers arrives."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ci.benchmarks.load import percentile

TIMEOUT_SECONDS = 120  # for one answer: some servers compute one answer at a time
NEW_TOKENS = 64
COMPLETE = 0.9  # pieces per token of a complete answer: an emoji may be one piece of several tokens
SUBJECTS = "water music history cats language science trees money bread glass horses winter fire rivers books light"
# Prompt length in SmolLM2's tokens, the same for each subject -> the text. Greedy answers exceed NEW_TOKENS.
PROMPTS = {
    32: "The following is the beginning of a long article for young readers about {0}. It tells where {0} come from "
    "and why people care about it. The article begins:",
    128: "This is a chapter of a book for young readers. Each chapter of the book is about one thing that we see "
    "every day and seldom think about: where it comes from, how it works, who found out, and what would be "
    "different without it. The chapters are short, so that one of them can be read aloud in an evening, and "
    "they need no knowledge of any kind. The author has spent many years as a teacher in a small town by the "
    "sea, and the questions at the end are those that children have really asked. The subject of this chapter "
    "is {0}. The chapter now begins, and it begins as follows:",
}


def prompts(tokens: int, count: int) -> list[str]:
    """Return `count` different prompts of `tokens` tokens."""
    return [PROMPTS[tokens].format(subject) for subject in SUBJECTS.split()[:count]]


@dataclass
class Answer:
    """The text, and the arrival of each of its pieces in seconds since the request."""

    text: str = ""
    times: list[float] = field(default_factory=list)


@dataclass
class StreamResult:
    """The answers to prompts that were sent at once, and the number of failures by their cause."""

    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        """Pieces of all answers: every server here sends a piece per token."""
        return sum(len(answer.times) for answer in self.answers)

    @property
    def rate(self) -> float:
        """Tokens a second, of all answers together."""
        return self.tokens / self.seconds

    def first_token_seconds(self, percent: float) -> float:
        """Percentile of the time to first token; infinity without an answer."""
        return percentile([answer.times[0] for answer in self.answers], percent)

    def inter_token_seconds(self, percent: float) -> float:
        """Percentile of the latency between two tokens of an answer; infinity without an answer."""
        return percentile([b - a for answer in self.answers for a, b in pairwise(answer.times)], percent)


async def complete(port: int, model: str, texts: Sequence[str], max_tokens: int = NEW_TOKENS) -> StreamResult:
    """Send all prompts at once to /v1/completions (greedy, streamed), for `max_tokens` new tokens each."""
    result, start = StreamResult(), time.monotonic()

    async def complete_one(text: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await _complete_one(port, model, text, max_tokens)
        except (OSError, TimeoutError, ValueError) as error:
            result.failures[type(error).__name__ if not isinstance(error, ValueError) else str(error)] += 1
        else:
            result.answers.append(answer)

    await asyncio.gather(*map(complete_one, texts))
    result.seconds = time.monotonic() - start
    return result


async def _complete_one(port: int, model: str, text: str, max_tokens: int) -> Answer:
    """Raise ValueError unless the response is a stream of the whole answer."""
    body = {"model": model, "prompt": text, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    content = json.dumps(body).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer, start = Answer(), time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status = (await reader.readline()).split()
        if status[1:2] != [b"200"]:
            raise ValueError(f"status {status[1].decode() if status[1:] else 'none'}")
        async for line in reader:
            if line.startswith(b"data: {"):
                _add(answer, json.loads(line[6:]), time.monotonic() - start)
    finally:
        writer.close()
    if len(answer.times) < COMPLETE * max_tokens:
        raise ValueError("an answer that is cut off")
    return answer


def _add(answer: Answer, event: dict[str, Any], seconds: float) -> None:
    if "error" in event:
        raise ValueError("an error in the stream")
    if event.get("choices") and (piece := event["choices"][0].get("text")):
        answer.text += piece
        answer.times.append(seconds)
