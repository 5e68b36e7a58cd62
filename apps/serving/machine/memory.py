"""How much memory this process may use: beyond it the kernel kills the pod, so bounds on what is read follow it."""

import ctypes
from contextlib import suppress
from pathlib import Path

from apps.serving.machine.cgroups import CGROUPS, PROC, groups, read

M_MMAP_THRESHOLD, LARGE_BYTES = -3, 1024**2  # of malloc.h; a block of so many bytes is the system's again when freed
UNLIMITED = 1 << 60  # bytes; cgroup v1 writes a number near 2**63 where there is no limit


def memory_limit(cgroups: Path = CGROUPS, proc: Path = PROC) -> int | None:
    """Bytes: the least limit of our control group and its parents (v1 and v2); None without one."""
    limits = [limit for folder in groups("memory", cgroups, proc) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _limit(folder: Path) -> int | None:
    text = (read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")).strip()
    return int(text) if text.isdecimal() and int(text) < UNLIMITED else None


def return_large_blocks() -> None:
    """Let glibc give memory back to the system as soon as it is freed; by itself it keeps what it has seen once.

    A picture decoded in memory that an earlier one left in pieces would take the sum of both. Elsewhere: nothing.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
