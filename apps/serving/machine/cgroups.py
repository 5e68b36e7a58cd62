"""Where the limits of this process's control groups are written, v1 and v2."""

from collections.abc import Iterator
from pathlib import Path

CGROUPS, PROC = Path("/sys/fs/cgroup"), Path("/proc")


def groups(controller: str, cgroups: Path = CGROUPS, proc: Path = PROC) -> Iterator[Path]:
    """Our groups of `controller`, up to the mount: in a container the path may be one that only the host sees."""
    for line in read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = cgroups / controller if controllers else cgroups
        group = mount / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def read(path: Path) -> str:
    """The text of a file of the kernel's; empty where it is not there."""
    try:
        return path.read_text()
    except OSError:
        return ""
