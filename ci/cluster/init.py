"""The node's first process. It leaves the machine's namespaces, makes the node's root, devices and network, and keeps
containerd, kubelet and the port forwarding alive.

The node has no network link to the machine: it is reached through sockets that were opened before it left, and nothing
of it can get out. All of it (mounts, bridge, routes, firewall rules, processes) ends with this process.

Started three times: as `init.py enter` in the machine's namespaces, as `init.py descend` when the node's control group
is the root of its view, and as `init.py boot` in namespaces of its own.
It imports the standard library only, all of it before the root changes.
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
LOGS = Path("/var/log")
LOG_BYTES = 10_000_000  # of a service's log, and of the one before it
KUBELET = "--config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf"
KUBELET += " --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf"


def enter(group: str, arguments: list[str]) -> None:
    """Joins the node's control group in every hierarchy, so that it becomes the root of the node's own view."""
    for _, folder, _ in hierarchies():
        if (Path(folder) / group).is_dir():
            (Path(folder) / group / "cgroup.procs").write_text(str(os.getpid()))
    os.execvp("unshare", ["unshare", "--cgroup", sys.executable, __file__, "descend", group, *arguments])


def descend(group: str, arguments: list[str]) -> None:
    """Moves one group down where it must, and leaves the machine's other namespaces."""
    if unified(groups := hierarchies()):
        # A group of version 2 cannot hold both processes and limited children.
        (Path(groups[0][1]) / group / INIT / "cgroup.procs").write_text(str(os.getpid()))
    new = ["--net", "--mount", "--pid", "--uts", "--ipc", "--propagation=slave", "--fork", "--kill-child"]
    os.execvp("unshare", ["unshare", *new, sys.executable, __file__, "boot", *arguments])


def hierarchies() -> list[tuple[str, str, str]]:
    """(type, mount point, options) of each control group hierarchy: many of version 1, one of version 2."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [(kind, folder, options) for _, folder, kind, options, *_ in lines if kind in ("cgroup", "cgroup2")]


def unified(groups: list[tuple[str, str, str]]) -> bool:
    """Whether the machine has control groups of version 2 only."""
    return all(kind == "cgroup2" for kind, _, _ in groups)


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
    # Of the machine only its files stay in sight: kubelet would take the machine's control groups for the node's.
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
    for kind, folder, options in groups:
        target = Path(folder.lstrip("/"))
        target.mkdir(parents=True, exist_ok=True)
        own = [o for o in options.split(",") if o not in general and not o.startswith("release_agent=")]
        mount("-t", kind, *(["-o", ",".join(own)] if own else []), kind, target)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_network(address: str) -> None:
    """The bridge exists before the node, which bears its address. A Service address that kube-proxy does not know yet
    and a pod address that is gone must end here, for there is no default route to end at."""
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
    flags, config = Path("/var/lib/kubelet/kubeadm-flags.env"), Path("/var/lib/kubelet/config.yaml")
    if not (flags.exists() and config.exists()):
        return None
    return ["kubelet", *KUBELET.split(), *flags.read_text().partition('"')[2].rpartition('"')[0].split()]


def supervise(doors: list[str]) -> None:
    """Starts each service, and again when it ends. Collects every dead process, for no one else here would."""
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
    """Empties a log that is full, and keeps what it held as `.1`. Its service appends, and so goes on at the beginning;
    what it writes between the copy and the cut is lost."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        with suppress(OSError):  # a full disk holds no copy
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
