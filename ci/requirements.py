"""Locks what each image installs: apps/requirements/IMAGE.txt has the version and the sha256 of every package.

`python -m ci.requirements` writes them from pyproject.toml; a version stays as it is locked until pyproject.toml or
`--upgrade` changes it. uv resolves, because it does so for every platform and Python version at once. torch comes only
from PyTorch's CPU index, or from a folder of wheels: PyPI's wheel for Linux brings CUDA, several GB.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from ci import images, python
from ci.cache import CHECKOUT
from ci.run import Failed, run

FOLDER = CHECKOUT / "apps/requirements"
COMMAND = "python -m ci.requirements"
PACKAGE = re.compile(r"^([a-z0-9-]+)==([^\s;]+)")
DIRECT = re.compile(r"^    # +(?:via )? *inference-service \(pyproject.toml\)$")


def locked(text: str) -> dict[str, str]:
    """The version of each package in a lock, by name; that for the lowest Python where versions differ by Python."""
    versions: dict[str, str] = {}
    for match in filter(None, map(PACKAGE.match, text.splitlines())):
        versions.setdefault(match[1], match[2])
    return versions


def direct(text: str) -> set[str]:
    """The names of the packages in a lock that pyproject.toml itself names."""
    names, name = set(), ""
    for line in text.splitlines():
        if match := PACKAGE.match(line):
            name = match[1]
        elif DIRECT.match(line):
            names.add(name)
    return names


def pinned(project: dict[str, Any], extra: str) -> dict[str, str]:
    """The version of each package that an extra of pyproject.toml pins, with the extras that it includes."""
    versions: dict[str, str] = {}
    for requirement in project["optional-dependencies"][extra]:
        if match := re.fullmatch(rf"{project['name']}\[(.+)\]", requirement):
            for included in match[1].split(","):
                versions |= pinned(project, included)
        elif match := PACKAGE.match(requirement):
            versions[match[1]] = match[2]
    return versions


def mistakes(folder: Path, project: dict[str, Any]) -> list[str]:
    """A line for each difference between the locks in `folder` and pyproject.toml, and for a torch with CUDA."""
    lines = []
    for image in images.IMAGES:
        path = folder / f"{image}.txt"
        text = path.read_text() if path.exists() else ""
        versions, pins = locked(text), pinned(project, image)
        for name in sorted(pins.keys() | direct(text)):
            pin, lock = pins.get(name), versions.get(name)
            if name not in direct(text) or name not in pins or pin != (lock or "").partition("+")[0]:
                lines.append(f"{path.name}: {name} is {lock or 'missing'}, pyproject.toml has {pin or 'none'}.")
        if "torch" in versions and not versions["torch"].endswith("+cpu"):
            lines.append(f"{path.name}: torch is {versions['torch']}, which is not the CPU build (…+cpu).")
    return lines


def write(torch_index: str | None, upgrade: bool) -> None:
    """Writes the locks; torch's wheels are those of the index `torch_index` or of the folder PIP_FIND_LINKS.

    Raises Failed if there is neither, or if uv finds no solution; the locks then stay as they were.
    """
    source = torch_index or os.environ.get("PIP_FIND_LINKS", "")
    if not source:
        remedy = "Add --torch-index URL (PyTorch's CPU index), or set PIP_FIND_LINKS to a folder that has its wheels."
        raise Failed("torch's CPU build is needed to lock its sha256", remedy)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = (CHECKOUT / "pyproject.toml").read_text() + _torch_source(source, flat=not torch_index)
        (folder / "pyproject.toml").write_text(project)
        for image in images.IMAGES:
            lock = FOLDER / f"{image}.txt"
            if lock.exists():
                shutil.copy(lock, folder)  # uv prefers the versions in its output file
            run(_command(image, upgrade), cwd=folder)
        problems = mistakes(folder, tomllib.loads(project)["project"])
        if problems:
            raise Failed("\n".join(problems), "Is --torch-index (or PIP_FIND_LINKS) PyTorch's CPU index?")
        FOLDER.mkdir(exist_ok=True)
        for image in images.IMAGES:
            shutil.copy(folder / f"{image}.txt", FOLDER)


def _torch_source(source: str, flat: bool) -> str:
    """Lines of pyproject.toml by which uv takes torch from an index, or a `flat` list of wheels, and nothing else."""
    layout = "flat" if flat else "simple"
    index = f'[[tool.uv.index]]\nname = "torch"\nurl = "{source}"\nexplicit = true\nformat = "{layout}"\n'
    return f'\n[tool.uv.sources]\ntorch = {{ index = "torch" }}\n{index}'


def _command(image: str, upgrade: bool) -> list[object]:
    words = [python.uv(), "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    words += ["--only-binary=:all:", f"--custom-compile-command={COMMAND}", *(["--upgrade"] if upgrade else [])]
    return [*words, f"--extra={image}", f"--output-file={image}.txt", "pyproject.toml"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-index", metavar="URL", help="package index of torch's CPU build")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    options = parser.parse_args()
    try:
        write(options.torch_index, options.upgrade)
    except Failed as failure:
        print(f"{COMMAND}: {failure.problem}\n{failure.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
