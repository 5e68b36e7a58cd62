"""How much memory this process may use: beyond it the kernel kills the pod, so bounds on what is read follow it."""

from pathlib import Path

from apps.serving.cgroups import CGROUPS, PROC, groups, read

UNLIMITED = 1 << 60  # bytes; cgroup v1 writes a number near 2**63 where there is no limit


def memory_limit(cgroups: Path = CGROUPS, proc: Path = PROC) -> int | None:
    """Bytes: the least limit of our control group and its parents (v1 and v2); None without one."""
    limits = [limit for folder in groups("memory", cgroups, proc) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _limit(folder: Path) -> int | None:
    text = (read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")).strip()
    return int(text) if text.isdecimal() and int(text) < UNLIMITED else None
