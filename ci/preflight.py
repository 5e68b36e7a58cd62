"""Checks the machine before anything on it is changed, and reports all problems at once."""

import os
import platform
import shutil
import socket
import sys
from pathlib import Path

from ci.cache import CACHE
from ci.cluster import layout, node
from ci.run import Failed

DISK_GB = {True: 5, False: 25}  # free space needed, by whether the caches exist


def check() -> None:
    """Raises Failed with every reason why the local cluster cannot be made here."""
    alternative = "`ci/up --cluster current` uses a cluster that you have and needs none of this"
    problems: list[str] = []
    if sys.platform != "linux":
        problems.append(f"this is {platform.system()}; the local cluster needs Linux: {alternative}")
    elif os.geteuid() != 0:
        problems.append(f"the user is {os.geteuid()}; the local cluster needs root: use sudo, or {alternative}")
    elif not shutil.which("apt-get"):
        problems.append(f"apt-get is not on this machine; the local cluster is made of Debian packages: {alternative}")
    problems += _disk() + _ports()
    if problems:
        raise Failed("\n".join(["nothing was changed, because", *(f"- {p}" for p in problems)]), "Then run it again.")


def _disk() -> list[str]:
    needed = DISK_GB[(CACHE / "tools").exists() and (CACHE / "buildah").exists()]
    existing = [next(p for p in [folder, *folder.parents] if p.exists()) for folder in (CACHE, layout.STATE)]
    disks = {folder.stat().st_dev: folder for folder in existing}  # both may be on one disk
    free = {folder: shutil.disk_usage(folder).free / 1e9 for folder in disks.values()}
    remedy = f"{needed} GB are needed: free some (the cache, {CACHE}, can be elsewhere by XDG_CACHE_HOME)"
    return [f"{folder} has {space:.1f} GB free; {remedy}" for folder, space in free.items() if space < needed]


def _ports() -> list[str]:
    if Path("/proc/mounts").exists() and node.processes():
        return []  # our own cluster has them open
    taken_ports = []
    for port in layout.FORWARDED_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken_ports.append(str(port))
    rule = "the local cluster answers there: stop what holds them (`ss -ltnp` tells)"
    return [f"port {', '.join(taken_ports)} of 127.0.0.1 is taken; {rule}"] if taken_ports else []


def node_runs() -> bool:
    """Whether this machine runs our cluster's node; False without control groups."""
    return Path("/proc/mounts").exists() and node.first_process() is not None
