"""A virtual environment for each contender, from PyPI, or a program of a Go module, kept in the cache."""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ci import python
from ci.cache import CACHE, CHECKOUT, key, unfinished
from ci.run import LOG, Failed, output, run
from ci.tools import build

PROJECT = CHECKOUT / "pyproject.toml"
MODULE = build.SOURCES / "load-generators"
EXTRA = "inference-service"  # as in "inference-service[classifier]": our own package, from this checkout


@dataclass(frozen=True)
class Environment:
    """The packages of one contender, as pip takes them, each with its version."""

    name: str
    packages: tuple[str, ...]
    removed: tuple[str, ...] = ()  # dependencies that keep the contender from starting

    @property
    def folder(self) -> Path:
        return CACHE / "benchmarks" / f"{self.name}-{key(sys.version, *self.packages, *self.removed, *self._ours())}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Make the environment unless it is complete. Raises Failed with pip's last error."""
        if (self.folder / "complete").exists():
            return
        log = self.folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            token = LOG.set(file)
            try:
                python.create(self.folder, list(self.packages), without=self.removed)
            except Failed:
                raise Failed(_last_error(log), f"The whole log: {log}") from None
            finally:
                LOG.reset(token)

    def megabytes(self) -> float:
        """Size on the disk in units of 10^6 bytes."""
        return sum(file.lstat().st_size for file in self.folder.rglob("*") if file.is_file()) / 1e6

    def versions(self) -> dict[str, str]:
        """Return the version of Python and of each package that is named."""
        names = [package.partition("==")[0].partition("[")[0] for package in self.packages]
        code = "import importlib.metadata as m, sys; print(sys.version.split()[0], *map(m.version, sys.argv[1:]))"
        return dict(zip(["python", *names], output([self.python, "-c", code, *names]).split(), strict=True))

    def _ours(self) -> list[Path]:
        return [PROJECT] if any(name.startswith(EXTRA) for name in self.packages) else []


@dataclass(frozen=True)
class GoProgram:
    """A program of the Go module ci/tools/load-generators, kept in the cache."""

    name: str
    package: str

    @property
    def program(self) -> Path:
        return CACHE / "benchmarks" / f"{self.name}-{key(MODULE)}" / self.name

    def install(self) -> None:
        """Compile it if that has not been done."""
        if self.program.exists():
            return
        work = unfinished(self.program.parent)
        environment = {**build.ENVIRONMENT, **python.path_with(build.go())}
        run(["go", "build", "-o", f"{work}/", self.package], cwd=MODULE, env=environment)
        work.rename(self.program.parent)

    def versions(self) -> dict[str, str]:
        """Return the version of its module."""
        lines = (MODULE / "go.mod").read_text().splitlines()
        (version,) = [line.split()[1] for line in lines if line.strip().startswith(f"{self.package} v")]
        return {self.name: version}


def pinned(package: str, extra: str) -> str:
    """Add the version that `extra` of pyproject.toml names: ("fastapi[standard]", "serving") -> "…==0.165.0"."""
    requirements = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"][extra]
    versions = dict(requirement.partition("==")[::2] for requirement in requirements)
    return f"{package}=={versions[package.partition('[')[0]]}"


def _last_error(log: Path) -> str:
    errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR:")]
    return (errors or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
