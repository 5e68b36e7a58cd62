"""The memory limit is read from the control groups."""

import pytest

from apps.serving.machine.memory import memory_limit

UNLIMITED_V1 = "9223372036854771712\n"
HOSTS = {
    "a container on cgroup v2": ({"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "536870912\n"}, 536870912),
    "the smallest limit of the parents on cgroup v2": (
        {
            "proc/self/cgroup": "0::/user.slice/app\n",
            "cgroup/user.slice/memory.max": "1000\n",
            "cgroup/user.slice/app/memory.max": "max\n",
        },
        1000,
    ),
    "a container on cgroup v1, where proc names the host's path": (
        {
            "proc/self/cgroup": "7:memory:/kubepods/x\n4:cpu,cpuacct:/kubepods/x\n0::/\n",
            "cgroup/memory/memory.limit_in_bytes": "536870912\n",
        },
        536870912,
    ),
    "the smallest limit of the parents on cgroup v1": (
        {
            "proc/self/cgroup": "7:memory:/pod/x\n",
            "cgroup/memory/pod/x/memory.limit_in_bytes": UNLIMITED_V1,
            "cgroup/memory/pod/memory.limit_in_bytes": "2000\n",
            "cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1,
        },
        2000,
    ),
    "no limit on cgroup v2": ({"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "max\n"}, None),
    "no limit on cgroup v1": (
        {"proc/self/cgroup": "7:memory:/\n", "cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1},
        None,
    ),
    "the limit of another controller's group": (
        {"proc/self/cgroup": "7:pids:/x\n", "cgroup/pids/x/memory.max": "1\n", "cgroup/memory/memory.max": "1\n"},
        None,
    ),
    "no cgroups, as on macOS": ({}, None),
}


@pytest.mark.parametrize("name", HOSTS)
def test_the_memory_limit_is_that_of_the_control_group(name, tmp_path):
    files, limit = HOSTS[name]
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert memory_limit(tmp_path / "cgroup", tmp_path / "proc") == limit
