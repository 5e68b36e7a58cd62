"""Asks language models for streamed answers, and notes when each piece of text came."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ci.benchmarks.load import percentile

TIMEOUT_SECONDS = 120  # for one answer: some servers compute one after another
NEW_TOKENS = 64
COMPLETE = 0.9  # of the tokens, as pieces: an emoji may take several
SUBJECTS = "water music history cats language science trees money bread glass horses winter fire rivers books light"
# Tokens (of SmolLM2, with any of the subjects) -> the text. Its greedy answers go on for more than NEW_TOKENS.
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
    """`count` different prompts of so many tokens."""
    return [PROMPTS[tokens].format(subject) for subject in SUBJECTS.split()[:count]]


@dataclass
class Spoken:
    """An answer: its text, and when each piece came, in seconds since it was asked for."""

    text: str
    times: list[float]


@dataclass
class Heard:
    """What came of a number of prompts sent at once."""

    seconds: float = 0.0
    answers: list[Spoken] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        """Pieces of all answers: every server here sends each token's text by itself."""
        return sum(len(answer.times) for answer in self.answers)

    @property
    def rate(self) -> float:
        """Tokens a second, of all answers together."""
        return self.tokens / self.seconds

    def first(self, percent: float) -> float:
        """Seconds to the first token; infinity without any."""
        return percentile([answer.times[0] for answer in self.answers], percent)

    def next(self, percent: float) -> float:
        """Seconds from a token to the next of its answer."""
        return percentile([b - a for answer in self.answers for a, b in pairwise(answer.times)], percent)


async def ask(port: int, model: str, texts: Sequence[str], tokens: int = NEW_TOKENS) -> Heard:
    """Send all prompts at once, by OpenAI's completions protocol; greedy, streamed, with so many new tokens each."""
    heard, begun = Heard(), time.monotonic()

    async def one(text: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await _answer(port, model, text, tokens)
        except (OSError, TimeoutError, ValueError) as error:
            heard.failures[type(error).__name__ if not isinstance(error, ValueError) else str(error)] += 1
        else:
            heard.answers.append(answer)

    await asyncio.gather(*map(one, texts))
    heard.seconds = time.monotonic() - begun
    return heard


async def _answer(port: int, model: str, text: str, tokens: int) -> Spoken:
    """Raise ValueError where the answer is not a stream of all the text."""
    body = {"model": model, "prompt": text, "max_tokens": tokens, "temperature": 0, "stream": True}
    content = json.dumps(body).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    spoken, begun = Spoken("", []), time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status = (await reader.readline()).split()
        if status[1:2] != [b"200"]:
            raise ValueError(f"status {status[1].decode() if status[1:] else 'none'}")
        async for line in reader:
            if line.startswith(b"data: {"):
                _note(spoken, json.loads(line[6:]), time.monotonic() - begun)
    finally:
        writer.close()
    if len(spoken.times) < COMPLETE * tokens:
        raise ValueError("an answer that is cut off")
    return spoken


def _note(spoken: Spoken, event: dict, seconds: float) -> None:
    if "error" in event:
        raise ValueError("an error in the stream")
    piece = event["choices"][0].get("text") if event.get("choices") else None
    if piece:
        spoken.text += piece
        spoken.times.append(seconds)
