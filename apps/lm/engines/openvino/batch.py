"""The batch on OpenVINO GenAI: its ContinuousBatchingPipeline schedules, computes and samples.

The KV cache consists of blocks of 32 tokens that are allocated once. The precision of weights and cache is part of a
model's version: agreement with the original model was measured with exactly these properties.
"""

import secrets
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
from openvino import Tensor
from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, GenerationStatus, SchedulerConfig

from apps.lm.engines.batching import BatchSequence
from apps.lm.engines.protocol import Computation, GenerationRequest, TokenLogprob

BLOCK = 32  # tokens; fixed by the CPU plugin
PREFILL_TOKENS = 8  # per thread in a step in which all other sequences decode: a long prompt delays no other sequence
PRECISION = {  # the same on every CPU, whatever it prefers
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "u8",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,  # activations that share a scale: a fifth faster than the default, 32
}
# What the pipeline does not compute. It has log-probabilities of a sequence's own tokens, and of no others.
UNCOMPUTED: frozenset[Computation] = frozenset({"logit_bias", "top_logprobs"})
MAX_MIN_P = 0.9999  # the pipeline refuses 1, with which only the most likely token can be drawn
PROPERTIES = PRECISION | {"ENABLE_CPU_PINNING": False}  # a pinned thread would wait while another process has its core


def pipeline(folder: Path, rows: int, tokens: int, threads: int) -> ContinuousBatchingPipeline:
    """Compile the model in `folder` for at most `rows` sequences, which have at most `tokens` tokens together."""
    scheduler = SchedulerConfig()
    scheduler.max_num_seqs, scheduler.max_num_batched_tokens = rows, rows + PREFILL_TOKENS * threads
    scheduler.num_kv_blocks = tokens // BLOCK + rows + 1  # the last block of each sequence is partly empty
    return ContinuousBatchingPipeline(folder, scheduler, "CPU", PROPERTIES | {"INFERENCE_NUM_THREADS": threads})


class Output(Protocol):
    """What a handle has read."""

    generated_ids: list[int]
    generated_log_probs: list[float]


class Handle(Protocol):
    """The parts of GenerationHandle, the pipeline's object for a sequence, that are used here."""

    def can_read(self) -> bool: ...
    def read(self) -> dict[int, Output]: ...
    def get_status(self) -> GenerationStatus: ...
    def cancel(self) -> None: ...


class OpenVinoBatch:
    """See `apps.lm.engines.batching.Batch`. The pipeline prefills and decodes in the same steps."""

    def __init__(self, pipeline: ContinuousBatchingPipeline) -> None:
        self._pipeline, self._ids = pipeline, count()
        self._handles: dict[BatchSequence, Handle] = {}

    def cache_bytes(self) -> int:
        """Generate one token, upon which the pipeline allocates the whole KV cache; return the size of that."""
        sequence = BatchSequence(GenerationRequest([0], 1))
        self.join(sequence)
        while not sequence.finished:
            self.step()
        return int(self._pipeline.get_metrics().kv_cache_size_in_bytes)

    def join(self, sequence: BatchSequence) -> None:
        """Add a sequence; raise RuntimeError for sampling parameters that the pipeline refuses."""
        prompt = Tensor(np.array([sequence.request.prompt], np.int64))
        configuration = _configuration(sequence.request)
        self._handles[sequence] = self._pipeline.add_request(next(self._ids), prompt, configuration)

    def leave(self, sequence: BatchSequence) -> None:
        """Remove a sequence that has not finished; the next step frees its blocks."""
        self._handles.pop(sequence).cancel()

    def step(self) -> list[BatchSequence]:
        """Compute one step; return the sequences that have one more token or an error."""
        self._pipeline.step()
        return [sequence for sequence in list(self._handles) if self._collect(sequence)]

    def _collect(self, sequence: BatchSequence) -> bool:
        """Whether the step has given `sequence` a token, or has ended it."""
        handle, before = self._handles[sequence], len(sequence.tokens)
        try:
            while handle.can_read():
                (output,) = handle.read().values()
                _receive(sequence, output)
            if not sequence.finished and handle.get_status() != GenerationStatus.RUNNING:
                sequence.error = RuntimeError(f"The pipeline has ended a sequence as {handle.get_status().name}.")
        except Exception as error:  # concerns only this sequence
            sequence.error = error
            handle.cancel()
        if sequence.finished:
            del self._handles[sequence]
        return sequence.finished or len(sequence.tokens) > before


def _receive(sequence: BatchSequence, output: Output) -> None:
    """Record what was read of a sequence. The first output of one with `echo` begins with its prompt."""
    request = sequence.request
    echoed = len(request.prompt) if _echoes(request) and not sequence.tokens else 0
    sequence.tokens += output.generated_ids[echoed:]
    if request.logprobs is not None:
        scores = list(zip(output.generated_ids, output.generated_log_probs, strict=True))
        # The first token of a prompt follows nothing; the pipeline gives it 1.
        request.logprobs.tokens += [TokenLogprob(token, score, []) for token, score in scores[min(echoed, 1) :]]


def _echoes(request: GenerationRequest) -> bool:
    return request.logprobs is not None and request.logprobs.of_prompt


def _configuration(request: GenerationRequest) -> GenerationConfig:
    configuration, sampling = GenerationConfig(), request.sampling
    configuration.max_new_tokens = request.max_tokens
    configuration.stop_token_ids, configuration.ignore_eos = set(request.end_tokens), not request.end_tokens
    configuration.min_new_tokens = min(request.min_tokens, request.max_tokens)
    configuration.repetition_penalty = sampling.repetition_penalty
    configuration.presence_penalty = sampling.presence_penalty
    configuration.frequency_penalty = sampling.frequency_penalty
    configuration.logprobs, configuration.echo = int(request.logprobs is not None), _echoes(request)
    configuration.do_sample = sampling.temperature > 0
    if configuration.do_sample:
        configuration.temperature = sampling.temperature
        configuration.rng_seed = secrets.randbits(32) if sampling.seed is None else sampling.seed % 2**64
        configuration.top_p = 1.0 if sampling.top_p is None else sampling.top_p
        if sampling.top_k is not None:
            configuration.top_k = sampling.top_k
        configuration.min_p = min(sampling.min_p, MAX_MIN_P)
    return configuration
