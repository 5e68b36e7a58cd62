"""Debian packages that the local cluster, and the tests of pages, need on the machine itself."""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterable

from ci.cache import CACHE
from ci.run import Failed, output, run

CLUSTER, BROWSER = ("buildah", "mmdebstrap", "python3-venv"), ("chromium",)
INSTALLED = CACHE / "debian-packages.json"  # what we installed, with all that came along

APT = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120"]  # a fresh machine may be updating itself


def missing(wanted: Iterable[str]) -> list[str]:
    venv = {"python3-venv"} if importlib.util.find_spec("ensurepip") else set()
    return [name for name in wanted if name not in venv and not shutil.which(name)]


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(wanted: Iterable[str]) -> None:
    before = _names()
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run([*APT, "update"], env=quiet)
    run([*APT, "install", "--yes", "--no-install-recommends", *missing(wanted)], env=quiet)
    ours = set(json.loads(INSTALLED.read_text())) if INSTALLED.exists() else set()
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    INSTALLED.write_text(json.dumps(sorted(ours | (_names() - before))))


def purge() -> None:
    """Removes what `install` brought, as far as it is still there."""
    if not INSTALLED.exists():
        return
    left = sorted(set(json.loads(INSTALLED.read_text())) & _names())
    if left:
        simulated = output([*APT, "purge", "--simulate", *left]).splitlines()
        others = {line.split()[1] for line in simulated if line.startswith("Purg")} - set(left)
        if others:
            what = f"{', '.join(sorted(others))} came later and need what ci/up installed: {', '.join(left)}"
            raise Failed(f"the Debian packages stay, because {what}", "Remove those first, then run this again.")
        run([*APT, "purge", "--yes", *left], env={"DEBIAN_FRONTEND": "noninteractive"})
    INSTALLED.unlink()


def _names() -> set[str]:
    return set(output(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package}\\n"]).split()) - {"ii"}
