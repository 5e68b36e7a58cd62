"""How many CPUs this process may use.

Numerical libraries count the machine's, and a pod that runs more threads than its quota allows is throttled
to a fraction of its speed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS, PROC = Path("/sys/fs/cgroup"), Path("/proc")


def threads(limit: float | None = None) -> int:
    """How many compute threads fit `limit` CPUs (by default `cpu_limit()`): never more, at least 1."""
    return max(1, int(cpu_limit() if limit is None else limit))


def cpu_limit(cgroups: Path = CGROUPS, proc: Path = PROC) -> float:
    """CPUs: the least of the cgroup quotas (v1 and v2, our group's and its parents') and the affinity."""
    quotas = [quota for folder in _groups(cgroups, proc) if (quota := _quota(folder)) is not None]
    return min([*quotas, float(_affinity())])


def throttling(cgroups: Path = CGROUPS, proc: Path = PROC) -> dict[str, float] | None:
    """What our CPU group has counted: `periods`, those `throttled`, and `seconds` of it; None without a quota."""
    for folder in _groups(cgroups, proc):
        counts = dict(line.split() for line in _read(folder / "cpu.stat").splitlines())
        if "nr_periods" in counts:
            microseconds = int(counts.get("throttled_usec", 0)) or int(counts.get("throttled_time", 0)) / 1000
            return {
                "periods": int(counts["nr_periods"]),
                "throttled": int(counts["nr_throttled"]),
                "seconds": microseconds / 1e6,
            }
    return None


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(cgroups: Path, proc: Path) -> Iterator[Path]:
    """Our CPU groups, up to the mount: in a container the path may be one that only the host sees."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = cgroups / "cpu" if controllers else cgroups
        group = mount / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def _quota(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.strip().isdecimal() and period.strip().isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
