"""The node from the machine's side: it is started, found, ended and removed completely."""

import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from ci.cluster import init, layout, node
from ci.run import Failed

SETTING = "vm-overcommit"


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A machine whose state, kernel settings and control groups are files of the test."""
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setattr(layout, "STATE", state)
    for name, path in (("MACHINE", "machine.json"), ("NODE", "node"), ("BINARIES", "node/usr/local/bin")):
        monkeypatch.setattr(layout, name, state / path)
    (tmp_path / SETTING).write_text("0\n")
    monkeypatch.setattr(node, "GLOBAL_SYSCTLS", [str(tmp_path / SETTING)])
    (tmp_path / "bridges").mkdir()
    monkeypatch.setattr(node, "BRIDGES", tmp_path / "bridges")
    monkeypatch.setattr(node, "CONTROLLERS", tmp_path / "cgroup.subtree_control")
    (tmp_path / "mounts").write_text(f"cgroup {tmp_path}/memory cgroup rw,memory 0 0\n")
    monkeypatch.setattr(init, "MOUNTS", tmp_path / "mounts")
    return tmp_path


def test_removing_the_node_restores_the_kernels_settings_and_removes_all_state(machine):
    node._prepare_machine()
    (machine / SETTING).write_text("1")  # as kubelet does
    node._prepare_machine()  # as a second `ci/up` after a crash does
    node.remove()
    assert (machine / SETTING).read_text() == "0" and not layout.STATE.exists()
    node.remove()


def test_with_groups_of_version_2_missing_controllers_are_enabled_and_disabled_again(machine):
    node.CONTROLLERS.write_text("cpu")
    node.CONTROLLERS.with_name("cgroup.controllers").write_text("cpu memory pids")
    node._prepare_machine()
    assert node.CONTROLLERS.read_text() == "+memory +pids"
    node.remove()
    assert node.CONTROLLERS.read_text() == "-memory -pids"


def test_the_machines_settings_are_saved_before_any_of_them_changes(machine):
    node._prepare_machine()
    saved = json.loads(layout.MACHINE.read_text())
    assert saved == {"files": {str(machine / SETTING): "0"}, "module": False}


def test_processes_are_those_of_the_nodes_groups_and_of_all_groups_below(machine):
    for folder, text in (
        ("memory", "1\n"),
        (f"memory/{layout.GROUP}", "0\n30\n"),
        (f"memory/{layout.GROUP}/pod", "7\n"),
    ):
        (machine / folder).mkdir(exist_ok=True)
        (machine / folder / "cgroup.procs").write_text(text)
    assert node.processes() == [7, 30]


def test_ending_the_node_kills_its_processes(machine, monkeypatch):
    group = machine / "memory" / layout.GROUP
    group.mkdir(parents=True)
    monkeypatch.setattr(node, "_remove_group", lambda _: None)  # in a real control group the files go with the folder
    with subprocess.Popen(["sleep", "600"]) as process:
        (group / "cgroup.procs").write_text(f"{process.pid}\n")
        node.end()
        assert process.wait(10) == -signal.SIGKILL


def test_restarting_programs_kills_them_and_no_other_process_of_the_node(machine):
    group = machine / "memory" / layout.GROUP
    group.mkdir(parents=True)
    node.restart(["sleep"])  # of a node that does not run
    with subprocess.Popen(["sleep", "600"]) as ended, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        (group / "cgroup.procs").write_text(f"{ended.pid}\n{other.pid}\n")

        def leave() -> None:
            ended.wait()
            (group / "cgroup.procs").write_text(f"{other.pid}\n")  # as the kernel does

        leaving = threading.Thread(target=leave)
        leaving.start()
        node.restart(["sleep", "a-program-that-does-not-run"])
        leaving.join()
        assert ended.returncode == -signal.SIGKILL and other.poll() is None
        other.kill()


def test_a_process_of_the_machine_is_not_the_nodes_first(machine):
    group = machine / "memory" / layout.GROUP
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
    assert node.first_process() is None
    with pytest.raises(Failed, match="the cluster's node does not run") as failure:
        node.command("true")
    assert failure.value.remedy == "ci/up starts it again."


def test_a_port_that_another_program_holds_is_named():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Failed, match=f"port {port} of 127.0.0.1 cannot be opened: Address already in use"):
            node._listen(port)


def test_a_wait_that_times_out_shows_the_end_of_the_log(tmp_path):
    (tmp_path / "log").write_text("first\nlast\n")
    with pytest.raises(Failed) as failure:
        node.wait_for("containerd", lambda: False, 0, tmp_path / "log")
    assert failure.value.problem == "waited 0 s for containerd\nfirst\nlast"
    assert failure.value.remedy == "ci/down, then ci/up, makes a new cluster."


@pytest.fixture
def kube(tmp_path) -> Path:
    """Built programs: one binary, and links with the programs' names."""
    folder = tmp_path / "kube"
    folder.mkdir()
    (folder / "kube").write_text("first")
    (folder / "kubelet").symlink_to("kube")
    return folder


@pytest.fixture
def archive(tmp_path) -> Path:
    """A root file system of Debian."""
    for name in ("etc/os-release", "usr/local/bin/keep"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.add(tmp_path / "root", ".")
    return tmp_path / "root.tar"


def test_the_nodes_root_has_debian_the_configuration_and_the_programs(machine, archive, kube):
    node.unpack(archive, kube)
    assert (layout.NODE / "etc/os-release").exists()
    assert (layout.NODE / "etc/kubeadm/kubeadm.yaml").read_text() == (layout.MANIFESTS / "kubeadm.yaml").read_text()
    assert {path.name for path in (layout.NODE / "etc/kubeadm/patches").iterdir()} >= {"etcd+strategic.yaml"}
    assert len((layout.NODE / "etc/machine-id").read_text()) == 33
    assert (layout.BINARIES / "kubelet").read_text() == "first" and (layout.BINARIES / "kubelet").is_symlink()


def test_unpacking_again_replaces_the_programs_and_keeps_the_nodes_files(machine, archive, kube):
    node.unpack(archive, kube)
    (layout.NODE / "etc/kept").touch()
    (kube / "kube").write_text("second")
    node.unpack(archive, kube)
    assert (layout.BINARIES / "kubelet").read_text() == "second" and (layout.NODE / "etc/kept").exists()
