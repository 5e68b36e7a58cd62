"""Reads texts and answers probes as the service would; runs in the environment of the export.

`python -m training.lm.openvino.reading FOLDER < {"texts": [[token, …], …], "probes": [[[token, …], count], …]}`
prints `{"readings": [{"best": […], "log_probabilities": […]}, …], "answers": [[token, …], …], "libraries": {…}}`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from openvino import Tensor
from openvino_genai import ContinuousBatchingPipeline, GenerationConfig

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.openvino import batch as openvino_batch
from apps.lm.engines.protocol import GenerationRequest
from training.libraries import versions
from training.lm.openvino.agreement import Reading

ROWS = 8


def main() -> None:
    """Read standard input, write standard output."""
    request = json.load(sys.stdin)
    texts, probes = request["texts"], request["probes"]
    longest = max(map(len, [*texts, *([*prompt, *range(count)] for prompt, count in probes)])) + 1
    pipeline = openvino_batch.pipeline(Path(sys.argv[1]), ROWS, ROWS * longest, 1)
    answers = _generate(pipeline, [GenerationRequest(*probe) for probe in probes])
    libraries = versions("openvino", "openvino-genai", "nncf", "optimum-intel", "transformers", "torch")
    readings = [_reading(pipeline, text) for text in texts]
    json.dump({"readings": readings, "answers": answers, "libraries": libraries}, sys.stdout)


def _reading(pipeline: ContinuousBatchingPipeline, text: list[int]) -> Reading:
    best = _generate(pipeline, [GenerationRequest(text[:length], 1) for length in range(1, len(text) + 1)])
    return {"best": [token for (token,) in best], "log_probabilities": _log_probabilities(pipeline, text)}


def _generate(pipeline: ContinuousBatchingPipeline, requests: list[GenerationRequest]) -> list[list[int]]:
    batch, sequences = openvino_batch.OpenVinoBatch(pipeline), [BatchSequence(request) for request in requests]
    for sequence in sequences:
        batch.join(sequence)
    while not all(sequence.finished for sequence in sequences):
        batch.step()
    return [sequence.tokens for sequence in sequences]


def _log_probabilities(pipeline: ContinuousBatchingPipeline, text: list[int]) -> list[float]:
    """Return those of the second and further tokens; with `echo` the pipeline reports them for the prompt."""
    config = GenerationConfig(max_new_tokens=1, echo=True, logprobs=1, do_sample=False)
    handle = pipeline.add_request(0, Tensor(np.array([text], np.int64)), config)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    (output,) = handle.read_all()
    return list(output.generated_log_probs[1 : len(text)])


if __name__ == "__main__":
    main()
