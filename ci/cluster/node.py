"""Manages the node from the machine: starts, finds, enters, ends and removes it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ci.cache import key
from ci.cluster import init, layout
from ci.run import STOPPED, Failed, output, run, succeeds

# Kernel settings that kubelet changes for the whole machine. All others that the node changes are in its namespaces.
GLOBAL_SYSCTLS = [
    f"/proc/sys/{name}"
    for name in (
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
    )
]
BRIDGES = Path("/proc/sys/net/bridge")  # exists once the kernel module br_netfilter is loaded
CONTROLLERS = Path("/sys/fs/cgroup/cgroup.subtree_control")  # version 2: resources that groups can limit


def processes() -> list[int]:
    """The process ids on the machine of all processes of the node, those of containers included."""
    pids: set[int] = set()
    for group in groups():
        for folder, _, _ in os.walk(group):  # unlike rglob, it ignores a group that ends meanwhile
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
    return sorted(pids - {0})


def groups() -> list[Path]:
    """The node's control groups, one in each hierarchy."""
    candidates = (Path(folder) / layout.GROUP for _, folder, _ in init.hierarchies())
    return [group for group in candidates if group.is_dir()]


def first_process() -> int | None:
    """The process id on the machine of the node's process 1, once the node has booted."""
    for members in (m for group in groups() for m in (group / "cgroup.procs", group / init.INIT / "cgroup.procs")):
        for pid in members.read_text().split() if members.exists() else []:
            if _is_first(int(pid)):
                return int(pid)
    return None


def _is_first(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        booted = Path(f"/proc/{pid}/root/run/booted").exists()  # only root may read it
    except OSError:
        return False
    return "State:\tZ" not in status and len(numbers) == 2 and numbers[1] == "1" and booted


def command(*words: object) -> list[str]:
    """`words` as a command that runs inside the node."""
    pid = first_process()
    if pid is None:
        raise Failed("the cluster's node does not run", "ci/up starts it again.")
    return ["nsenter", f"--target={pid}", "--all", "--root", "--wd", *map(str, words)]


def boot() -> None:
    """Starts the node from its root file system."""
    end()
    _prepare_machine()
    for _, folder, _ in init.hierarchies():
        _make_group(Path(folder))
    listeners = [_listen(port) for port in layout.FORWARDED_PORTS]
    forwarded = [f"{s.fileno()}={target}" for s, target in zip(listeners, layout.FORWARDED_PORTS.values(), strict=True)]
    words = [
        sys.executable,
        init.__file__,
        "enter",
        layout.GROUP,
        str(layout.NODE),
        layout.NAME,
        layout.ADDRESS,
        *forwarded,
    ]
    log = layout.STATE / "node.log"
    with log.open("w") as out:
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[s.fileno() for s in listeners],
            start_new_session=True,  # it outlives the terminal
            cwd="/",
        )
    wait_for("the node to boot", lambda: first_process() is not None, 30, log)
    wait_for(
        "containerd",
        lambda: succeeds(command("ctr", "version"), timeout=5),
        60,
        layout.NODE / "var/log/containerd.log",
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise Failed(f"port {port} of 127.0.0.1 cannot be opened: {error.strerror}", "Stop what holds it.") from error
    listener.listen(1024)
    return listener


def _make_group(hierarchy: Path) -> None:
    group = hierarchy / layout.GROUP
    (group / init.INIT if init.unified(init.hierarchies()) else group).mkdir(parents=True, exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # of version 1: no process may enter while they are empty
        if (group / name).exists() and not (group / name).read_text().strip():
            (group / name).write_text((hierarchy / name).read_text())


def end() -> None:
    """Kills all processes of the node and removes its control groups. Its disk stays."""
    deadline = time.monotonic() + 30
    while pids := [pid for pid in processes() if not _is_zombie(pid)]:
        if time.monotonic() > deadline:
            raise Failed(
                f"processes {pids} of the node do not end",
                "They wait for the kernel: reboot, then run this again.",
            )
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for group in groups():
        for folder, _, _ in os.walk(group, topdown=False):
            _remove_group(Path(folder))


def restart(programs: list[str]) -> None:
    """Kills these programs of the node, if it runs: its first process starts kubelet again, and kubelet the others."""
    names = {program[:15] for program in programs}  # Linux keeps 15 characters of a process's name
    ended = {pid for pid in processes() if _name(pid) in names}
    for pid in ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # after SIGTERM the API server waits minutes for an etcd that has ended
    wait_for(f"{', '.join(programs)} to end", lambda: ended.isdisjoint(processes()), 10)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _remove_group(folder: Path) -> None:
    def removed() -> bool:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    wait_for(f"{folder} to be empty", removed, 10)


def _is_zombie(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def _prepare_machine() -> None:
    """Prepares the machine's kernel for the node. First saves the present settings, which `remove` restores."""
    module = not BRIDGES.exists()
    if not layout.MACHINE.exists():
        files = {path: Path(path).read_text().strip() for path in GLOBAL_SYSCTLS}
        enabled = CONTROLLERS.read_text().split() if CONTROLLERS.exists() else None
        if enabled is not None:
            missing = set(CONTROLLERS.with_name("cgroup.controllers").read_text().split()) - set(enabled)
            files[str(CONTROLLERS)] = " ".join(f"-{name}" for name in sorted(missing))
        unfinished = layout.MACHINE.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"files": files, "module": module}))
        unfinished.rename(layout.MACHINE)
    if module:
        run(["modprobe", "br_netfilter"])
        for setting in BRIDGES.glob("bridge-nf-call-*"):
            setting.write_text("0")  # as before for the machine's own bridges
    if CONTROLLERS.exists():
        CONTROLLERS.write_text(json.loads(layout.MACHINE.read_text())["files"][str(CONTROLLERS)].replace("-", "+"))


def remove() -> None:
    """Ends the node, removes its files and restores the machine's settings. Safe to repeat."""
    end()
    if layout.MACHINE.exists():
        before = json.loads(layout.MACHINE.read_text())
        for path, text in before["files"].items():
            Path(path).write_text(text)
        if before["module"]:
            succeeds(["modprobe", "--remove", "br_netfilter"])
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [path for path in mounted if path.startswith(f"{layout.STATE}/")]
    if inside:
        raise Failed(f"something is mounted at {', '.join(inside)}", "Unmount it, then run this again.")
    if layout.STATE.exists():
        run(["rm", "-rf", "--one-file-system", layout.STATE])


def wait_for(event: str, condition: Callable[[], bool], seconds: float, log: Path | None = None) -> None:
    """Returns when `condition()` is true; raises Failed with the end of `log` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if STOPPED.is_set():
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise Failed(
                f"waited {seconds:.0f} s for {event}\n{tail}".strip(),
                "ci/down, then ci/up, makes a new cluster.",
            )
        time.sleep(0.2)


def unpack(archive: Path, kube: Path) -> None:
    """Makes the node's root file system from a Debian archive and the built programs."""
    if not layout.NODE.exists():
        work = layout.NODE.with_name("node.unfinished")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        run(["tar", "--extract", "--file", archive, "--directory", work])
        work.rename(layout.NODE)
    for name, target in {
        "containerd.toml": "etc/containerd/config.toml",
        "bridge.conflist": "etc/cni/net.d/10-bridge.conflist",
        "kubeadm.yaml": "etc/kubeadm/kubeadm.yaml",
    }.items():
        (layout.NODE / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(layout.MANIFESTS / name, layout.NODE / target)
    shutil.copytree(layout.MANIFESTS / "patches", layout.NODE / "etc/kubeadm/patches", dirs_exist_ok=True)
    (layout.NODE / "etc/machine-id").write_text(key(layout.NAME).ljust(32, "0") + "\n")
    (layout.NODE / "etc/resolv.conf").write_text("# the node has no outside network\n")
    for program in ("kube", *(p.name for p in kube.iterdir() if p.is_symlink())):
        binary = layout.BINARIES / program
        binary.unlink(missing_ok=True)
        if program == "kube":
            shutil.copy2(kube / program, binary)
        else:
            binary.symlink_to("kube")


def inside(*words: object, input: str | None = None, timeout: float | None = None) -> str:
    """Runs a command in the node and returns its standard output."""
    return output(command(*words), input=input, timeout=timeout)
