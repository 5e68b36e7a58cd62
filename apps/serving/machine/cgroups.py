"""The files in which the kernel writes the limits of this process's control groups, version 1 and 2."""

from collections.abc import Iterator
from pathlib import Path

CGROUPS, PROC = Path("/sys/fs/cgroup"), Path("/proc")


def groups(controller: str, cgroups: Path = CGROUPS, proc: Path = PROC) -> Iterator[Path]:
    """Yield the folders of our group of `controller` and of its parents, up to the mount.

    Inside a container, /proc may name a path that exists only on the host; then only the mount's files exist.
    """
    for line in read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = cgroups / controller if controllers else cgroups
        group = mount / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def read(path: Path) -> str:
    """Return the text of one of the kernel's files; an empty string where it does not exist."""
    try:
        return path.read_text()
    except OSError:
        return ""
