"""Which device computes, and with which numbers: decided from what the hardware says of itself, never by a timing.

bfloat16 halves what a step reads from memory, but a CPU that has no instructions for it is slower with it.
"""

from pathlib import Path

import torch

from apps.serving.identity import LoadError

CPUINFO = Path("/proc/cpuinfo")
NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 by AVX-512 or AMX, Arm
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def device(wanted: str) -> torch.device:
    """Return the device that `wanted` (auto, cpu, cuda) means; raise LoadError where it is not there."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise LoadError("DEVICE='cuda', and torch finds no CUDA device here. Set it to auto or cpu.")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def dtype(wanted: str, device: torch.device) -> torch.dtype:
    """Return the numbers that `wanted` (fp32, bf16, auto) means on `device`."""
    if wanted != "auto":
        return DTYPES[wanted]
    native = torch.cuda.is_bf16_supported(False) if device.type == "cuda" else bool(NATIVE & _flags())
    return DTYPES["bf16" if native else "fp32"]


def _flags() -> set[str]:
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
