"""The language model's /generate: prompts, each answered as one JSON document."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from loadgen.targets.answers import completion_tokens, parsed, require
from loadgen.targets.target import Reading, Sample, Target

PROMPTS = [
    "The capital of France is",
    "Explain in one sentence why the sky is blue.",
    "Once upon a time, in a small village by the sea,",
    "Write a short note that thanks a colleague for their help.",
    "List three things to check before a long journey by train.",
    "What is the difference between a lake and a pond?",
    "A recipe for a simple tomato soup begins with",
    "The three laws of motion were written by",
    "Describe a rainy evening in a large city.",
    "Why do leaves change their colour in autumn?",
    "The quick brown fox jumps over the lazy dog, and then",
    "Give a beginner one piece of advice about learning to swim.",
]


@dataclass(frozen=True)
class LanguageModel(Target):
    """Counts the tokens of each answer."""

    name: str = "lm"
    path: str = "/generate"
    samples: Sequence[Sample] = ()

    def read(self, body: bytes, sample: Sample) -> Reading:
        answer = parsed(body)
        version = require(answer, "model_version", str)
        require(answer, "generated_text", str)
        require(answer, "finish_reason", str)
        usage = require(answer, "usage", dict)
        tokens = completion_tokens(usage | {"model_version": version}, version)
        return Reading(version, completion_tokens=tokens, answer=answer)


def lm(max_new_tokens: int, prompts: Sequence[str] = PROMPTS) -> LanguageModel:
    """Return a target that sends these prompts in turn."""
    bodies = [json.dumps({"prompt": prompt, "max_new_tokens": max_new_tokens}) for prompt in prompts]
    return LanguageModel(samples=tuple(Sample(body.encode()) for body in bodies))
