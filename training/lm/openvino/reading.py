"""Reads texts and answers probes as the service would; runs in the environment of the export.

`python -m training.lm.openvino.reading FOLDER < {"texts": [[token, …], …], "probes": [[[token, …], count], …]}`
prints `{"readings": [{"best": […], "log_probabilities": […]}, …], "answers": [[token, …], …], "libraries": {…}}`.
"""

import json
import sys
from pathlib import Path

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.openvino.batch import OpenVinoBatch
from apps.lm.engines.openvino.chunk import BLOCK
from apps.lm.engines.openvino.paged_model import PagedModel
from apps.lm.engines.protocol import GenerationRequest, Logprobs
from training.libraries import versions
from training.lm.openvino.agreement import Reading

ROWS = 8


def main() -> None:
    """Read standard input, write standard output."""
    request = json.load(sys.stdin)
    texts = [(GenerationRequest(text, 1, logprobs=Logprobs(1, of_prompt=True))) for text in request["texts"]]
    probes = [GenerationRequest(*probe) for probe in request["probes"]]
    blocks = ROWS * (max(each.total_tokens for each in [*texts, *probes]) // BLOCK + 1)
    batch = OpenVinoBatch(PagedModel(Path(sys.argv[1]), blocks, 1), ROWS, blocks, 1)
    answers = _generate(batch, probes)
    _generate(batch, texts)
    libraries = versions("openvino", "nncf", "optimum-intel", "transformers", "torch")
    json.dump({"readings": list(map(_reading, texts)), "answers": answers, "libraries": libraries}, sys.stdout)


def _generate(batch: OpenVinoBatch, requests: list[GenerationRequest]) -> list[list[int]]:
    sequences = [BatchSequence(request) for request in requests]
    for sequence in sequences:
        batch.join(sequence)
    while not all(sequence.finished for sequence in sequences):
        batch.step()
    return [sequence.tokens for sequence in sequences]


def _reading(request: GenerationRequest) -> Reading:
    """The most likely token after each token of a text, and the log-probabilities of its tokens but the first."""
    assert request.logprobs is not None
    tokens = request.logprobs.tokens
    return {
        "best": [token.top[0][0] for token in tokens],
        "log_probabilities": [token.logprob for token in tokens[: len(request.prompt) - 1]],
    }


if __name__ == "__main__":
    main()
