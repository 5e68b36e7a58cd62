"""Prompts have a thread of their own where a CPU would be idle, and nowhere else."""

import pytest
import torch

from apps.lm.engines.transformers import loading
from apps.serving import cpu


@pytest.mark.parametrize(
    ("device", "cpus", "threads", "expected"),
    [
        ("cpu", 2, 1, True),
        ("cpu", 1, 1, False),  # it would only take turns
        ("cpu", 3, 2, False),  # OpenMP's threads would wait for it
        ("cuda", 2, 1, False),
    ],
)
def test_prompts_are_read_beside_tokens_where_one_thread_leaves_a_cpu(monkeypatch, device, cpus, threads, expected):
    monkeypatch.setattr(cpu, "threads", lambda: cpus)
    monkeypatch.setattr(loading, "threads", lambda: threads)
    assert (loading.prefill_executor(torch.device(device)) is not None) == expected
