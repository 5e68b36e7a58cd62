"""The classifier's /predict: MNIST images with known labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadgen.mnist import Mnist
from loadgen.targets.answers import parsed, require
from loadgen.targets.target import InvalidAnswer, Reading, Sample, Target

# float32(pixel) / 255, as in training; nine digits restore the same float32.
INTENSITIES = [f"{value:.9g}" for value in np.arange(256, dtype=np.float32) / np.float32(255)]


@dataclass(frozen=True)
class Classifier(Target):
    """Answers whose label differs from the image's are valid, and counted as incorrect."""

    name: str = "classifier"
    path: str = "/predict"
    samples: Sequence[Sample] = ()

    def read(self, body: bytes, sample: Sample) -> Reading:
        answer = parsed(body)
        version = require(answer, "model_version", str)
        for entry in [answer, *require(answer, "top", list)]:
            require(entry, "label", str)
            if not 0 <= require(entry, "probability", (int, float)) <= 1:
                raise InvalidAnswer("`probability` is not from 0 to 1", version)
        return Reading(version, correct=answer["label"] == sample.label, answer=answer)


def classifier(mnist: Mnist, indices: Sequence[int]) -> Classifier:
    """Return a target that sends these images in turn."""
    return Classifier(samples=tuple(image_sample(mnist, index) for index in indices))


def image_sample(mnist: Mnist, index: int) -> Sample:
    return Sample(b'{"features":[%s]}' % intensities(mnist, index), index, str(mnist.labels[index]))


def intensities(mnist: Mnist, index: int) -> bytes:
    """Return the image's 784 numbers from 0 to 1, comma-separated."""
    return ",".join([INTENSITIES[value] for value in mnist.images[index].tolist()]).encode()
