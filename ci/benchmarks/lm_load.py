"""Sends prompts to language models, and records when each piece of the streamed answers arrives."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from loadgen.client.ask import ask
from loadgen.statistics.percentiles import nearest_rank
from loadgen.targets.openai import EventStream, OpenAI
from loadgen.targets.target import Reading, Sample

TIMEOUT_SECONDS = 120.0  # for one answer: some servers compute one answer at a time
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

    def first_token_seconds(self, percent: int) -> float:
        """Percentile of the time to first token; infinity without an answer."""
        return nearest_rank([answer.times[0] for answer in self.answers], percent)

    def inter_token_seconds(self, percent: int) -> float:
        """Percentile of the latency between two tokens of an answer; infinity without an answer."""
        return nearest_rank([b - a for answer in self.answers for a, b in pairwise(answer.times)], percent)


class Pieces(EventStream):
    """A stream that need not end with [DONE]: not every server here sends it."""

    def finish(self) -> Reading:
        self.done = True
        return super().finish()


class Completions(OpenAI):
    def stream(self, sample: Sample) -> EventStream:
        return Pieces()


def complete(port: int, model: str, texts: Sequence[str], max_tokens: int = NEW_TOKENS) -> StreamResult:
    """Send all prompts at once to /v1/completions (greedy, streamed), for `max_tokens` new tokens each."""
    common = {"model": model, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    target = Completions(samples=tuple(Sample(json.dumps({**common, "prompt": text}).encode()) for text in texts))
    result, exchanges = StreamResult(), asyncio.run(ask(target, f"http://127.0.0.1:{port}", TIMEOUT_SECONDS))
    for exchange in exchanges:
        reading = exchange.reading
        if exchange.outcome:
            result.failures[f"{exchange.outcome.label}: {exchange.detail}"] += 1
        elif 1 + len(reading.gaps) < COMPLETE * max_tokens:
            result.failures["an answer that is cut off"] += 1
        else:
            times = accumulate(reading.gaps, initial=reading.first_token or 0.0)
            result.answers.append(Answer(reading.answer, list(times)))
    result.seconds = max(exchange.end for exchange in exchanges)
    return result
