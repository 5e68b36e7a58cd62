"""DEVICE and DTYPE choose what the hardware has."""

import pytest
import torch

from apps.lm.engines.protocol import GenerationRequest
from apps.lm.engines.transformers import precision
from apps.lm.tests import tiny
from apps.serving.identity import LoadError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 rdpid", torch.bfloat16),
        ("flags : fpu amx_bf16", torch.bfloat16),
        ("Features : fp asimd bf16", torch.bfloat16),
        ("flags : fpu avx2 avx512f avx512_fp16", torch.float32),
        ("model name : bf16 9000", torch.float32),
        ("", torch.float32),
    ],
)
def test_auto_is_bfloat16_if_the_cpu_reports_instructions_for_it(tmp_path, flags, expected):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{flags}\n")
    assert precision.dtype("auto", CPU, cpuinfo) is expected
    assert precision.dtype("fp32", CPU, cpuinfo) is torch.float32
    assert precision.dtype("bf16", CPU, cpuinfo) is torch.bfloat16


def test_without_a_gpu_auto_takes_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.device("auto") == precision.device("cpu") == CPU


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        (False, "is built for CPUs only. Use an image whose torch has CUDA"),
        (True, "finds no GPU here. Give the pod one (nvidia.com/gpu in resources.limits)"),
    ],
)
def test_without_a_gpu_cuda_is_refused_with_the_reason(monkeypatch, built, reason):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LoadError) as refusal:
        precision.device("cuda")
    assert str(refusal.value) == f"DEVICE='cuda', and torch {torch.__version__} {reason}, or set DEVICE to auto or cpu."


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_bfloat16_computes_and_is_reported(folders, load, family):
    model = load(folders[family], dtype="bf16")
    assert model.identity.facts["dtype"] == "bfloat16"
    tokens: list[int] = []
    model.engine.generate(GenerationRequest([5, 6, 7], 8), tokens.append, lambda: False)
    assert len(tokens) == 8
