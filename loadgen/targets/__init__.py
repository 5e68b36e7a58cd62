"""Prepares the requests to each service before the run, and defines which answers are valid."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadgen.mnist import Mnist
from loadgen.observe import Observation

# float32(pixel) / 255, as in training; nine digits restore the same float32.
INTENSITIES = [f"{value:.9g}" for value in np.arange(256, dtype=np.float32) / np.float32(255)]

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


class InvalidAnswer(Exception):
    """A response with status 200 whose body violates the service's contract; the text says how."""


@dataclass(frozen=True)
class Sample:
    """One request: its JSON body and, for an image, its index in the dataset and its label."""

    body: bytes
    index: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Target:
    """A service: `samples` to send in turn; `read` notes the JSON of a 200 response, or raises InvalidAnswer."""

    name: str
    samples: Sequence[Sample]
    read: Callable[[Any, Sample, Observation], None]


def classifier(mnist: Mnist, indices: Sequence[int]) -> Target:
    samples = [image_sample(mnist, index) for index in indices]
    return Target("classifier", samples, read_prediction)


def image_sample(mnist: Mnist, index: int) -> Sample:
    features = ",".join([INTENSITIES[value] for value in mnist.images[index].tolist()])
    return Sample(b'{"features":[%s]}' % features.encode(), index, str(mnist.labels[index]))


def read_prediction(answer: Any, sample: Sample, observation: Observation) -> None:
    for entry in [answer, *require(answer, "top", list)]:
        require(entry, "label", str)
        if not 0 <= require(entry, "probability", (int, float)) <= 1:
            raise InvalidAnswer("`probability` is not from 0 to 1")
    observation.correct = answer["label"] == sample.label


def lm(max_new_tokens: int) -> Target:
    bodies = [json.dumps({"prompt": prompt, "max_new_tokens": max_new_tokens}) for prompt in PROMPTS]
    return Target("lm", [Sample(body.encode()) for body in bodies], read_generation)


def read_generation(answer: Any, sample: Sample, observation: Observation) -> None:
    require(answer, "generated_text", str)
    require(answer, "finish_reason", str)
    observation.completion_tokens = require(require(answer, "usage", dict), "completion_tokens", int)


def require(answer: Any, name: str, expected: type | tuple[type, ...]) -> Any:
    """Return `answer[name]`; raise InvalidAnswer if it is missing or not of an `expected` type."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if value is None:
        raise InvalidAnswer(f"`{name}` is missing")
    if not isinstance(value, expected) or isinstance(value, bool):
        raise InvalidAnswer(f"`{name}` has the wrong type")
    return value
