"""The node's first process: makes the node's root file system, devices and network in namespaces of its own, and keeps
containerd, kubelet and the port forwarding running.

The node has no network link to the machine. It is reached through sockets that were opened on the machine's side and
inherited; nothing in it can open a connection to the outside. All of it (mounts, bridge, routes, firewall rules,
processes) ends with this process.

It runs three times: `init.py enter` in the machine's namespaces, `init.py descend` in a control group namespace, and
`init.py boot` in all other namespaces. It imports the standard library only, and before the root file system changes.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

INIT = "init"  # the control group of this process and its services, below the node's
RESTART_SECONDS = 1.0  # at least this long between two starts of a service
MOUNTS = Path("/proc/mounts")
LOGS = Path("/var/log")
LOG_BYTES = 10_000_000  # of a service's log, and of the previous one
KUBELET_FLAGS, KUBELET_CONFIG = Path("/var/lib/kubelet/kubeadm-flags.env"), Path("/var/lib/kubelet/config.yaml")
KUBELET = "--config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf"
KUBELET += " --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf"


def enter(group: str, arguments: list[str]) -> None:
    """Joins the node's control group in every hierarchy, so that the group is the root of the node's namespace."""
    for _, folder, _ in hierarchies():
        if (Path(folder) / group).is_dir():
            (Path(folder) / group / "cgroup.procs").write_text(str(os.getpid()))
    os.execvp("unshare", ["unshare", "--cgroup", sys.executable, __file__, "descend", group, *arguments])


def descend(group: str, arguments: list[str]) -> None:
    """Moves to the group INIT where groups have version 2, and leaves the machine's other namespaces."""
    if unified(groups := hierarchies()):
        # A group of version 2 cannot hold both processes and limited children.
        (Path(groups[0][1]) / group / INIT / "cgroup.procs").write_text(str(os.getpid()))
    new = ["--net", "--mount", "--pid", "--uts", "--ipc", "--propagation=slave", "--fork", "--kill-child"]
    os.execvp("unshare", ["unshare", *new, sys.executable, __file__, "boot", *arguments])


def hierarchies() -> list[tuple[str, str, str]]:
    """(type, mount point, options) of each control group hierarchy: many of version 1, one of version 2."""
    lines = [line.split() for line in MOUNTS.read_text().splitlines()]
    return [(type, folder, options) for _, folder, type, options, *_ in lines if type in ("cgroup", "cgroup2")]


def unified(groups: list[tuple[str, str, str]]) -> bool:
    """Whether the machine has control groups of version 2 only."""
    return all(type == "cgroup2" for type, _, _ in groups)


def make_root(root: Path) -> None:
    mount("--rbind", root, root)
    os.chdir(root)
    for name in ("host", "dev", "proc", "sys", "run", "tmp", "usr/lib/modules"):
        Path(name).mkdir(parents=True, exist_ok=True)
    groups = hierarchies()
    mount("--rbind", "/dev", "dev")
    mount("-t", "proc", "proc", "proc")
    mount("-t", "sysfs", "sysfs", "sys")
    mount("-t", "tmpfs", "tmpfs", "run")
    mount("-t", "tmpfs", "tmpfs", "tmp")
    if Path("/lib/modules").is_dir():
        mount("--bind", "/lib/modules", "usr/lib/modules")
    mount_groups(groups)
    subprocess.run(["pivot_root", ".", "host"], check=True)
    os.chdir("/")
    # Only the machine's files stay visible: kubelet would mistake the machine's control groups for the node's.
    for name in ("sys", "proc", "dev"):
        subprocess.run(["umount", "--recursive", "--lazy", f"/host/{name}"], check=True)


def mount_groups(groups: list[tuple[str, str, str]]) -> None:
    if unified(groups):
        mount("-t", "cgroup2", "cgroup2", "sys/fs/cgroup")
        controllers = Path("sys/fs/cgroup/cgroup.controllers").read_text().split()
        Path("sys/fs/cgroup/cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
        return
    mount("-t", "tmpfs", "tmpfs", "sys/fs/cgroup")
    general = ("rw", "nosuid", "nodev", "noexec", "relatime", "xattr", "nsdelegate")
    for type, folder, options in groups:
        target = Path(folder.lstrip("/"))
        target.mkdir(parents=True, exist_ok=True)
        own = [o for o in options.split(",") if o not in general and not o.startswith("release_agent=")]
        mount("-t", type, *(["-o", ",".join(own)] if own else []), type, target)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_network(address: str) -> None:
    """Makes the bridge of the pods, with the node's address, and routes to the pods and Services.

    There is no default route. The routes here end connections to a Service that kube-proxy does not know yet and to a
    pod that no longer exists.
    """
    pods, services = "10.244.0.0/16", "10.96.0.0/16"
    for words in (
        "link set lo up",
        "link add cni0 type bridge",
        f"address add {address}/24 dev cni0",
        "link set cni0 up",
        f"route add {services} dev cni0 src {address}",
        f"route add unreachable {pods} metric 4096",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    for setting in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables"):
        Path("/proc/sys/net", setting).write_text("1")


def kubelet() -> list[str] | None:
    """kubelet's command, or None until kubeadm has written what it needs."""
    if not (KUBELET_FLAGS.exists() and KUBELET_CONFIG.exists()):
        return None
    return ["kubelet", *KUBELET.split(), *KUBELET_FLAGS.read_text().partition('"')[2].rpartition('"')[0].split()]


def supervise(doors: list[str]) -> None:
    """Starts each service, and restarts it when it ends. Reaps every orphan of the node, as process 1 has to."""
    commands: dict[str, Callable[[], list[str] | None]] = {
        "containerd": lambda: ["containerd"],
        "kubelet": kubelet,
        "portforward": lambda: ["portforward", *doors],
    }
    running: dict[int, str] = {}
    started = dict.fromkeys(commands, 0.0)
    while True:
        for name, command in commands.items():
            due = time.monotonic() - started[name] >= RESTART_SECONDS
            if name not in running.values() and due and (words := command()):
                running[start(name, words)] = name
                started[name] = time.monotonic()
        try:
            while (dead := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                running.pop(dead, None)
        except ChildProcessError:
            pass
        for name in commands:
            bound(LOGS / f"{name}.log")
        time.sleep(0.2)


def bound(log: Path) -> None:
    """Copies a log of more than LOG_BYTES to `.1`, and empties it. Its service appends, so it goes on at the beginning;
    lines that it writes between the copy and the truncation are lost."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        with suppress(OSError):  # the disk may be full
            shutil.copyfile(log, f"{log}.1")
        os.truncate(log, 0)


def start(name: str, words: list[str]) -> int:
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [(os.POSIX_SPAWN_OPEN, 1, LOGS / f"{name}.log", append, 0o644), (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawnp(words[0], words, os.environ, file_actions=actions, setsid=True)


def boot(root: str, name: str, address: str, doors: list[str]) -> None:
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    make_root(Path(root))
    socket.sethostname(name)
    make_network(address)
    Path("/run/booted").touch()
    supervise(doors)


if __name__ == "__main__":
    if sys.argv[1] == "enter":
        enter(sys.argv[2], sys.argv[3:])
    if sys.argv[1] == "descend":
        descend(sys.argv[2], sys.argv[3:])
    boot(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
