"""The node's first process enters its control groups and namespaces, on machines with either version of groups."""

import os
from pathlib import Path

import pytest

from ci.cluster import init

V1 = """\
tmpfs /sys/fs/cgroup tmpfs ro,nosuid 0 0
cgroup {0}/memory cgroup rw,nosuid,nodev,noexec,relatime,memory 0 0
cgroup {0}/systemd cgroup rw,nosuid,xattr,release_agent=/lib/agent,name=systemd 0 0
"""
V2 = "cgroup2 {0}/unified cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n"
GROUP = "inference-service"


class Executed(Exception):
    """The process has been replaced by another program; its words are the arguments."""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """Makes the machine's control groups, with one for the node, and returns their hierarchies' folders."""

    def make(text: str) -> list[Path]:
        (tmp_path / "mounts").write_text(text.format(tmp_path))
        monkeypatch.setattr(init, "MOUNTS", tmp_path / "mounts")
        folders = [Path(folder) for _, folder, _ in init.hierarchies()]
        for folder in folders:
            (folder / GROUP / init.INIT).mkdir(parents=True)
        return folders

    return make


@pytest.fixture(autouse=True)
def execute(monkeypatch):
    def execvp(_: str, words: list[str]) -> None:
        raise Executed(*words)

    monkeypatch.setattr(os, "execvp", execvp)


@pytest.mark.parametrize(("text", "unified"), [(V1, False), (V2, True), (V1 + V2, False)])
def test_groups_are_unified_only_if_all_have_version_2(mounts, text, unified):
    mounts(text)
    assert init.unified(init.hierarchies()) is unified


@pytest.mark.parametrize("text", [V1, V2])
def test_the_node_joins_its_group_in_every_hierarchy_before_it_leaves_the_machines_namespace(mounts, text):
    folders = mounts(text)
    with pytest.raises(Executed) as program:
        init.enter(GROUP, ["root"])
    assert [(folder / GROUP / "cgroup.procs").read_text() for folder in folders] == [str(os.getpid())] * len(folders)
    assert program.value.args[:2] == ("unshare", "--cgroup") and program.value.args[-3:] == ("descend", GROUP, "root")


@pytest.mark.parametrize(("text", "moves"), [(V1, False), (V2, True)])
def test_with_version_2_the_first_process_moves_below_the_group_whose_children_are_limited(mounts, text, moves):
    folders = mounts(text)
    with pytest.raises(Executed) as program:
        init.descend(GROUP, ["root"])
    assert [(folder / GROUP / init.INIT / "cgroup.procs").exists() for folder in folders] == [moves] * len(folders)
    assert {"--net", "--mount", "--pid", "--fork", "--kill-child"} <= set(program.value.args)


@pytest.fixture
def mounted(tmp_path, monkeypatch) -> list[tuple[str, ...]]:
    """The mounts that the node makes, in a folder that stands for its root."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(init, "mount", lambda *words: calls.append(tuple(map(str, words))))
    monkeypatch.chdir(tmp_path)
    Path("sys/fs/cgroup").mkdir(parents=True)
    return calls


def test_the_node_mounts_each_hierarchy_of_version_1_with_the_options_that_name_it(mounted):
    general = "rw,nosuid,nodev,noexec,relatime"
    systemd = f"{general},xattr,release_agent=/lib/agent,name=systemd"
    groups = [("cgroup", "/sys/fs/cgroup/memory", f"{general},memory"), ("cgroup", "/sys/fs/cgroup/systemd", systemd)]
    init.mount_groups(groups)
    assert mounted == [
        ("-t", "tmpfs", "tmpfs", "sys/fs/cgroup"),
        ("-t", "cgroup", "-o", "memory", "cgroup", "sys/fs/cgroup/memory"),
        ("-t", "cgroup", "-o", "name=systemd", "cgroup", "sys/fs/cgroup/systemd"),
    ]


def test_with_version_2_the_nodes_groups_may_be_limited_in_every_resource(mounted):
    Path("sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu memory\n")
    init.mount_groups([("cgroup2", "/sys/fs/cgroup", "rw,nsdelegate")])
    assert mounted == [("-t", "cgroup2", "cgroup2", "sys/fs/cgroup")]
    assert Path("sys/fs/cgroup/cgroup.subtree_control").read_text() == "+cpuset +cpu +memory"


def test_kubelet_starts_once_kubeadm_has_written_its_files_and_with_kubeadms_flags(tmp_path, monkeypatch):
    monkeypatch.setattr(init, "KUBELET_FLAGS", tmp_path / "flags")
    monkeypatch.setattr(init, "KUBELET_CONFIG", tmp_path / "config")
    init.KUBELET_FLAGS.write_text(
        'KUBELET_KUBEADM_ARGS="--node-ip=10.244.0.1 --container-runtime-endpoint=unix:///x"\n'
    )
    assert init.kubelet() is None
    init.KUBELET_CONFIG.touch()
    words = init.kubelet()
    assert (
        words
        and words[0] == "kubelet"
        and words[-2:] == ["--node-ip=10.244.0.1", "--container-runtime-endpoint=unix:///x"]
    )
