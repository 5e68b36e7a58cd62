"""The CPU limit is read from the control groups and the affinity."""

import os
import threading
from pathlib import Path

import pytest

from apps.serving.machine import cpu

AFFINITY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def host(tmp_path):
    """Return a function that writes a host's files and returns the arguments of `cpu_limit`."""

    def write(files: dict[str, str]) -> dict[str, Path]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"cgroups": tmp_path / "cgroup", "proc": tmp_path / "proc"}

    return write


def test_a_container_on_cgroup_v2_has_its_quota(host):
    files = host({"proc/self/cgroup": "0::/\n", "cgroup/cpu.max": "75000 100000\n"})
    assert cpu.cpu_limit(**files) == 0.75


def test_the_smallest_quota_of_the_parents_on_cgroup_v2_counts(host):
    files = host(
        {
            "proc/self/cgroup": "0::/user.slice/app\n",
            "cgroup/user.slice/cpu.max": "60000 100000\n",
            "cgroup/user.slice/app/cpu.max": "max 100000\n",
        }
    )
    assert cpu.cpu_limit(**files) == 0.6


def test_a_container_on_cgroup_v1_has_its_quota_although_proc_names_the_hosts_path(host):
    files = host(
        {
            "proc/self/cgroup": "7:memory:/kubepods/x\n4:cpu,cpuacct:/kubepods/x\n0::/\n",
            "cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert cpu.cpu_limit(**files) == 0.5


@pytest.mark.parametrize("quota", ["max 100000\n", "", f"{AFFINITY * 100_000 + 1} 100000\n"])
def test_without_a_quota_below_it_the_affinity_counts(host, quota):
    assert cpu.cpu_limit(**host({"proc/self/cgroup": "0::/\n", "cgroup/cpu.max": quota})) == AFFINITY


def test_cgroup_v1_without_a_limit_is_no_quota(host):
    files = host(
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n",
            "cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert cpu.cpu_limit(**files) == AFFINITY


def test_without_cgroups_as_on_macos_the_affinity_counts(host):
    assert cpu.cpu_limit(**host({})) == AFFINITY


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_that_is_bound_to_one_cpu_has_one(host):
    limits = []

    def bound() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of this thread only
        limits.append(cpu.cpu_limit(**host({})))

    thread = threading.Thread(target=bound)
    thread.start()
    thread.join()
    assert limits == [1]


@pytest.mark.parametrize(("limit", "count"), [(0.25, 1), (1.0, 1), (1.9, 1), (2.0, 2), (8.0, 8)])
def test_threads_never_exceed_the_limit_except_that_there_is_one(limit, count):
    assert cpu.threads(limit) == count
