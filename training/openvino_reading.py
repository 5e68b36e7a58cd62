"""Reads texts and answers probes as the service would; runs in the environment of the export.

`python -m training.openvino_reading FOLDER < {"texts": [[token, …], …], "probes": [[[token, …], count], …]}`
prints `{"readings": [{"best": […], "log_probabilities": […]}, …], "answers": [[token, …], …], "libraries": {…}}`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from openvino import Tensor
from openvino_genai import GenerationConfig

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.openvino import batch as openvino_batch
from apps.lm.engines.protocol import GenerationRequest
from training.libraries import versions

ROWS = 8


def main() -> None:
    """Read standard input, write standard output."""
    asked = json.load(sys.stdin)
    texts, probes = asked["texts"], asked["probes"]
    longest = max(map(len, [*texts, *([*prompt, *range(count)] for prompt, count in probes)])) + 1
    pipeline = openvino_batch.pipeline(Path(sys.argv[1]), ROWS, ROWS * longest, 1)
    answers = _answers(pipeline, [GenerationRequest(*probe) for probe in probes])
    libraries = versions("openvino", "openvino-genai", "nncf", "optimum-intel", "transformers", "torch")
    readings = [_reading(pipeline, text) for text in texts]
    json.dump({"readings": readings, "answers": answers, "libraries": libraries}, sys.stdout)


def _reading(pipeline, text: list[int]) -> dict:
    best = _answers(pipeline, [GenerationRequest(text[:length], 1) for length in range(1, len(text) + 1)])
    return {"best": [token for (token,) in best], "log_probabilities": _log_probabilities(pipeline, text)}


def _answers(pipeline, requests: list[GenerationRequest]) -> list[list[int]]:
    batch, sequences = openvino_batch.OpenVinoBatch(pipeline), [BatchSequence(request) for request in requests]
    for sequence in sequences:
        batch.join(sequence)
    while not all(sequence.finished for sequence in sequences):
        batch.step()
    return [sequence.tokens for sequence in sequences]


def _log_probabilities(pipeline, text: list[int]) -> list[float]:
    """Of the second and further tokens: the pipeline echoes a prompt with them."""
    wanted = GenerationConfig(max_new_tokens=1, echo=True, logprobs=1, do_sample=False)
    handle = pipeline.add_request(0, Tensor(np.array([text], np.int64)), wanted)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    (output,) = handle.read_all()
    return list(output.generated_log_probs[1 : len(text)])


if __name__ == "__main__":
    main()
