"""Debian packages that the local cluster and the tests with other programs need on the machine."""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterable

from ci.cache import CACHE, unfinished
from ci.run import Failed, output, run

CLUSTER = "buildah", "mmdebstrap", "python3-venv"
CLIENTS = "chromium", "curl", "default-jdk-headless"  # of the services, in tests
PROGRAMS = {"default-jdk-headless": "java"}  # where package and program have different names
NGINX = CACHE / "nginx"
INSTALLED = CACHE / "debian-packages.json"  # what we installed, dependencies included

APT = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120"]  # a fresh machine may be updating its packages


def missing(packages: Iterable[str]) -> list[str]:
    venv = {"python3-venv"} if importlib.util.find_spec("ensurepip") else set()
    return [name for name in packages if name not in venv and not shutil.which(PROGRAMS.get(name, name))]


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Iterable[str]) -> None:
    before = _names()
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run([*APT, "update"], env=quiet)
    run([*APT, "install", "--yes", "--no-install-recommends", *missing(packages)], env=quiet)
    recorded = set(json.loads(INSTALLED.read_text())) if INSTALLED.exists() else set()
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    INSTALLED.write_text(json.dumps(sorted(recorded | (_names() - before))))


def unpack_nginx() -> None:
    """Unpacks Debian's nginx without installing it, which would start a server on port 80, now and at every boot."""
    folder = unfinished(NGINX)
    run([*APT, "update"])
    run([*APT, "-o", "APT::Sandbox::User=root", "download", "nginx"], cwd=folder)
    run(["dpkg-deb", "--extract", *folder.glob("nginx_*.deb"), folder])
    folder.rename(NGINX)


def purge() -> None:
    """Removes the packages that `install` installed and that are still installed."""
    if not INSTALLED.exists():
        return
    remaining = sorted(set(json.loads(INSTALLED.read_text())) & _names())
    if remaining:
        simulated = output([*APT, "purge", "--simulate", *remaining]).splitlines()
        others = {line.split()[1] for line in simulated if line.startswith("Purg")} - set(remaining)
        if others:
            dependents = ", ".join(sorted(others))
            raise Failed(
                f"the Debian packages stay: {dependents} depend on packages of ci/up ({', '.join(remaining)})",
                f"Remove {dependents} first, then run this again.",
            )
        run([*APT, "purge", "--yes", *remaining], env={"DEBIAN_FRONTEND": "noninteractive"})
    INSTALLED.unlink()


def _names() -> set[str]:
    return set(output(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package}\\n"]).split()) - {"ii"}
