"""Chooses the device and the number format from what the hardware reports, never by measuring time.

bfloat16 halves what a step reads from memory, but a CPU without instructions for it is slower with it.
"""

from pathlib import Path
from typing import Literal

import torch

from apps.serving.identity import LoadError

CPUINFO = Path("/proc/cpuinfo")
NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 with AVX-512 or AMX, Arm
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def device(setting: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device for the setting DEVICE; raise LoadError if there is none."""
    available = torch.cuda.is_available()
    if setting == "cuda" and not available:
        raise LoadError(f"DEVICE='cuda', and {_reason_without_gpu()}, or set DEVICE to auto or cpu.")
    return torch.device("cuda" if available and setting != "cpu" else "cpu")


def _reason_without_gpu() -> str:
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]  # has no types
        return f"torch {torch.__version__} is built for CPUs only. Use an image whose torch has CUDA"
    return f"torch {torch.__version__} finds no GPU here. Give the pod one (nvidia.com/gpu in resources.limits)"


def dtype(setting: Literal["fp32", "bf16", "auto"], device: torch.device, cpuinfo: Path = CPUINFO) -> torch.dtype:
    """Return the number format for the setting DTYPE on `device`; `cpuinfo` lists the processor's instructions."""
    if setting != "auto":
        return DTYPES[setting]
    native = torch.cuda.is_bf16_supported(False) if device.type == "cuda" else bool(NATIVE & _cpu_flags(cpuinfo))
    return DTYPES["bf16" if native else "fp32"]


def _cpu_flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
