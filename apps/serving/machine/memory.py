"""How much memory this process may use. The kernel kills a pod that uses more, so other bounds derive from it."""

import ctypes
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apps.serving.machine.cgroups import CGROUPS, PROC, groups, read

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 1024**2  # blocks of this size and more are returned to the system when they are freed
UNLIMITED = 1 << 60  # bytes; without a limit, cgroup v1 reports a number near 2**63


def memory_limit(cgroups: Path = CGROUPS, proc: Path = PROC) -> int | None:
    """Return bytes: the least limit of our control group and its parents (v1 and v2); None without a limit."""
    limits = [limit for folder in groups("memory", cgroups, proc) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _limit(folder: Path) -> int | None:
    text = (read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")).strip()
    return int(text) if text.isdecimal() and int(text) < UNLIMITED else None


@contextmanager
def bounded(limit: int, proc: Path = PROC) -> Iterator[None]:
    """Let allocations fail, those of C libraries too, with which this process would use more than `limit` bytes.

    It holds for all threads, and has no effect where the system is not Linux.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    usage = dict(re.findall(r"^(VmRSS|VmData):\s+(\d+) kB$", read(proc / "self/status"), re.MULTILINE))
    if usage:
        room = max(0, limit - int(usage["VmRSS"]) * 1024)
        most = int(usage["VmData"]) * 1024 + room
        soft = most if before[0] == resource.RLIM_INFINITY else min(most, before[0])
        resource.setrlimit(resource.RLIMIT_DATA, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def return_large_blocks() -> None:
    """Fix glibc's threshold for mmap, so that large blocks return to the system as soon as they are freed.

    By default glibc raises the threshold to the largest block that was freed; later blocks then come from the heap,
    whose fragmentation adds up: two pictures decoded one after the other could need the memory of both. No effect
    with other C libraries.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
