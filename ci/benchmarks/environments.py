"""A virtual environment for each contender, from PyPI, kept in the cache."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ci import python
from ci.cache import CACHE, CHECKOUT, key
from ci.run import LOG, Failed, output

EXTRA = "inference-service"  # as in "inference-service[classifier]": our own package, from this checkout


@dataclass(frozen=True)
class Environment:
    """What one contender needs: `packages` as pip takes them, exact."""

    name: str
    packages: tuple[str, ...]
    unwanted: tuple[str, ...] = ()  # what they bring and do not start with

    @property
    def folder(self) -> Path:
        return CACHE / "benchmarks" / f"{self.name}-{key(sys.version, *self.packages, *self.unwanted, *self._ours())}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Make it unless it is there; raises Failed with pip's own last words."""
        if (self.folder / "complete").exists():
            return
        log = self.folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            token = LOG.set(file)
            try:
                python.create(self.folder, list(self.packages), without=self.unwanted)
            except Failed:
                raise Failed(_reason(log), f"The whole log: {log}") from None
            finally:
                LOG.reset(token)

    def megabytes(self) -> float:
        """What it takes on the disk, in units of 10^6 bytes."""
        return sum(file.lstat().st_size for file in self.folder.rglob("*") if file.is_file()) / 1e6

    def versions(self) -> dict[str, str]:
        """The version of each package that was asked for by name, and of Python."""
        names = [package.partition("==")[0].partition("[")[0] for package in self.packages]
        code = "import importlib.metadata as m, sys; print(sys.version.split()[0], *map(m.version, sys.argv[1:]))"
        return dict(zip(["python", *names], output([self.python, "-c", code, *names]).split(), strict=True))

    def _ours(self) -> list[Path]:
        return [CHECKOUT / "pyproject.toml"] if any(name.startswith(EXTRA) for name in self.packages) else []


def _reason(log: Path) -> str:
    errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR:")]
    return (errors or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
