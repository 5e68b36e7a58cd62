"""The classifier's /predict: MNIST images with known labels, or rows of a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadgen.targets.answers import parsed, require
from loadgen.targets.mnist import Mnist
from loadgen.targets.target import InvalidAnswer, Reading, Sample, Target

# float32(pixel) / 255, as in training; nine digits restore the same float32.
INTENSITIES = [f"{value:.9g}" for value in np.arange(256, dtype=np.float32) / np.float32(255)]


@dataclass(frozen=True)
class Classifier(Target):
    """Answers whose label differs from the image's are valid, and counted as incorrect. A regressor answers a value."""

    name: str = "classifier"
    path: str = "/predict"
    samples: Sequence[Sample] = ()

    def read(self, body: bytes, sample: Sample) -> Reading:
        answer = parsed(body)
        version = require(answer, "model_version", str)
        if "value" in answer:
            require(answer, "value", (int, float, list))
            return Reading(version, answer=answer)
        for entry in [answer, *require(answer, "top", list)]:
            require(entry, "label", str)
            if not 0 <= require(entry, "probability", (int, float)) <= 1:
                raise InvalidAnswer("`probability` is not from 0 to 1", version)
        correct = None if sample.label is None else answer["label"] == sample.label
        return Reading(version, correct=correct, answer=answer)


def classifier(mnist: Mnist, indices: Sequence[int]) -> Classifier:
    """Return a target that sends these images in turn."""
    return Classifier(samples=tuple(image_sample(mnist, index) for index in indices))


def table(rows: Sequence[Mapping[str, Any]], indices: Sequence[int]) -> Classifier:
    """Return a target that sends these `rows` in turn, each as an object by the names of its columns."""
    return Classifier(samples=tuple(Sample(json.dumps({"features": rows[i]}).encode(), i) for i in indices))


def image_sample(mnist: Mnist, index: int) -> Sample:
    return Sample(b'{"features":[%s]}' % intensities(mnist, index), index, str(mnist.labels[index]))


def intensities(mnist: Mnist, index: int) -> bytes:
    """Return the image's 784 numbers from 0 to 1, comma-separated."""
    return ",".join([INTENSITIES[value] for value in mnist.images[index].tolist()]).encode()
