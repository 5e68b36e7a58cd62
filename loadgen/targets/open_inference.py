"""The Open Inference Protocol v2 (KServe, Triton, our classifier): tensors to /v2/models/MODEL/infer."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from loadgen.targets.answers import parsed, require
from loadgen.targets.classifier import intensities
from loadgen.targets.mnist import Mnist
from loadgen.targets.target import InvalidAnswer, Reading, Sample, Target

LABEL = "label"  # the output that holds the label, where a model has one


@dataclass(frozen=True)
class OpenInference(Target):
    """Each output must have as many numbers as its shape says. An output `label` is compared with the sample's."""

    name: str = "open-inference"
    path: str = ""
    samples: Sequence[Sample] = ()

    def read(self, body: bytes, sample: Sample) -> Reading:
        answer = parsed(body)
        require(answer, "model_name", str)
        version = answer.get("model_version")
        version = version if isinstance(version, str) else None
        labels: list[Any] = []
        for output in require(answer, "outputs", list):
            data = require(output, "data", list)
            if _size(require(output, "shape", list)) != len(data):
                raise InvalidAnswer("an output's `data` does not have the size of its `shape`", version)
            if require(output, "name", str) == LABEL:
                labels = data
        judged = sample.label is not None and len(labels) == 1
        return Reading(version, correct=str(labels[0]) == sample.label if judged else None, answer=answer)


def images(model: str, mnist: Mnist, indices: Sequence[int], tensor: str = "features") -> OpenInference:
    """Return a target that sends these images to `model` in turn, each as one FP32 `tensor` of shape (1, 784)."""
    head = json.dumps({"name": tensor, "shape": [1, 784], "datatype": "FP32"})[:-1].encode()
    return OpenInference(
        path=infer_path(model),
        samples=tuple(
            Sample(b'{"inputs":[%s,"data":[%s]}]}' % (head, intensities(mnist, index)), index, str(mnist.labels[index]))
            for index in indices
        ),
    )


def infer_path(model: str) -> str:
    return f"/v2/models/{quote(model, '')}/infer"


def _size(shape: list[Any]) -> int:
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    return math.prod(sizes) if len(sizes) == len(shape) else -1
