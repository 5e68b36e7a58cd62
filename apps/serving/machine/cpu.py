"""How many CPUs this process may use.

Numerical libraries count the CPUs of the machine. With more threads than its quota allows, a pod is throttled to a
fraction of its speed.
"""

import os
from pathlib import Path

from apps.serving.machine.cgroups import CGROUPS, PROC, groups, read


def threads(limit: float | None = None) -> int:
    """Return how many compute threads fit in `limit` CPUs (default: `cpu_limit()`), rounded down, at least 1."""
    return max(1, int(cpu_limit() if limit is None else limit))


def cpu_limit(cgroups: Path = CGROUPS, proc: Path = PROC) -> float:
    """Return CPUs: the least of the affinity and the cgroup quotas (v1 and v2, of our group and its parents)."""
    quotas = [quota for folder in groups("cpu", cgroups, proc) if (quota := _quota(folder)) is not None]
    return min([*quotas, float(_affinity())])


def throttling(cgroups: Path = CGROUPS, proc: Path = PROC) -> dict[str, float] | None:
    """Return our CPU group's counters: `periods`, `throttled` periods, throttled `seconds`; None without a quota."""
    for folder in groups("cpu", cgroups, proc):
        counts = dict(line.split() for line in read(folder / "cpu.stat").splitlines())
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


def _quota(folder: Path) -> float | None:
    quota, _, period = read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.strip().isdecimal() and period.strip().isdecimal() else None
