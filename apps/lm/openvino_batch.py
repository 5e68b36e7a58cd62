"""The batch on OpenVINO GenAI: its ContinuousBatchingPipeline schedules, computes and chooses; we hand in and collect.

Keys and values lie in blocks of 32 tokens that are allocated once. Rounding of weights and cache is part of a version:
its agreement with the original was measured with these very properties.
"""

import secrets
import time
from itertools import count
from pathlib import Path

import numpy as np
from openvino import Tensor
from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, GenerationStatus, SchedulerConfig

from apps.lm.member import Member

BLOCK = 32  # tokens; the CPU plugin's
PROMPT_PART = 8  # tokens of prompts a thread, in a step in which all others answer: a long one keeps nobody waiting
HAND_OVER_SECONDS = 0.0002  # a token: a step holds the GIL, so the last one's tokens reach their readers before it
PRECISION = {  # on every CPU, whatever it prefers
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "u8",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,  # activations that share a scale: a fifth faster than with the usual 32
}
PROPERTIES = PRECISION | {"ENABLE_CPU_PINNING": False}  # a thread would wait for its core while a neighbour has it


def pipeline(folder: Path, rows: int, tokens: int, threads: int) -> ContinuousBatchingPipeline:
    """Compile the model in `folder` for `rows` sequences that have at most `tokens` tokens together."""
    plan = SchedulerConfig()
    plan.max_num_seqs, plan.max_num_batched_tokens = rows, rows + PROMPT_PART * threads
    plan.num_kv_blocks = tokens // BLOCK + rows + 1  # the last block of a sequence is not full
    return ContinuousBatchingPipeline(folder, plan, "CPU", PROPERTIES | {"INFERENCE_NUM_THREADS": threads})


class OpenVinoBatch:
    """As `SteppedBatch` says; the pipeline reads prompts in the same steps in which it answers."""

    def __init__(self, a_pipeline: ContinuousBatchingPipeline) -> None:
        self._pipeline, self._numbers = a_pipeline, count()
        self._handles: dict[Member, object] = {}
        self._given = 0  # tokens, by the last step

    def cache_bytes(self) -> int:
        """Compute one token, upon which the pipeline allocates all keys and values; return how large they are."""
        member = Member([0], 1)
        self.join(member)
        while not member.finished:
            self.step()
        return self._pipeline.get_metrics().kv_cache_size_in_bytes

    def join(self, member: Member) -> None:
        """As `SteppedBatch` says; raises RuntimeError for a sampling that the pipeline refuses."""
        prompt = Tensor(np.array([member.prompt], np.int64))
        self._handles[member] = self._pipeline.add_request(next(self._numbers), prompt, _configuration(member))

    def leave(self, member: Member) -> None:
        """As `SteppedBatch` says; the next step frees its blocks."""
        self._handles.pop(member).cancel()

    def step(self) -> list[Member]:
        """As `SteppedBatch` says."""
        time.sleep(HAND_OVER_SECONDS * self._given)
        self._pipeline.step()
        members = [member for member in list(self._handles) if self._collect(member)]
        self._given = len(members)
        return members

    def _collect(self, member: Member) -> bool:
        """Whether the step has given `member` a token, or has ended it."""
        handle, before = self._handles[member], len(member.tokens)
        try:
            while handle.can_read():
                (output,) = handle.read().values()
                member.tokens += output.generated_ids
            if not member.finished and handle.get_status() != GenerationStatus.RUNNING:
                member.error = RuntimeError(f"The pipeline has ended a sequence as {handle.get_status().name}.")
        except Exception as error:  # of this one; the others' tokens are good
            member.error = error
            handle.cancel()
        if member.finished:
            del self._handles[member]
        return member.finished or len(member.tokens) > before


def _configuration(member: Member) -> GenerationConfig:
    found, sampling = GenerationConfig(), member.sampling
    found.max_new_tokens = member.most
    found.stop_token_ids, found.ignore_eos = set(member.ends), not member.ends
    found.do_sample = sampling.temperature > 0
    if found.do_sample:
        found.temperature = sampling.temperature
        found.rng_seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
        found.top_p = 1.0 if sampling.top_p is None else sampling.top_p
        if sampling.top_k is not None:
            found.top_k = sampling.top_k
    return found
