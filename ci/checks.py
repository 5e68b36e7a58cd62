"""Lint, formatting, types and unit tests, for `ci/check` and, with the slow tests, for lane `unit` of `ci/test`.

All checks run side by side. Each group of unit tests is one pytest process that imports only what its parts need:
importing torch and transformers takes seconds, so equal workers that import everything (xdist) take longer.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from ci import python
from ci.cache import CACHE, CHECKOUT, key
from ci.run import Failed, run
from ci.steps import Step

UNIT = {
    "lm": ["apps/lm", "training/tests/lm"],
    "classifier": ["apps/classifier", "training", "--ignore=training/tests/lm"],
    "loadgen": ["loadgen"],
    "others": ["apps/serving", "models", "ci", "--ignore=ci/chart", "--ignore=ci/e2e"],
}
LOW_PRIORITY = ["tests classifier"]  # its tests measure no times; the longest group gets the CPU first
UNMARKED = "not service and not full"
QUICK = f"{UNMARKED} and not slow"
OUTPUT_LINES = 200  # enough of a failed check's output to see its cause


def folder() -> Path:
    """Caches and logs of this checkout's checks; two checkouts would overwrite each other's."""
    return CACHE / "check" / key(str(CHECKOUT))


def environment(name: str) -> dict[str, str]:
    """Variables for the pytest process `name`.

    Bytecode goes to the cache, so imports are fast and the checkout stays clean. Coverage goes to a file per process.
    One thread per process: the checks run side by side, and waiting threads of torch and OpenMP use CPU.
    """
    return {
        "PYTHONPYCACHEPREFIX": str(python.folder() / "bytecode"),
        "PYTHONDONTWRITEBYTECODE": "",
        "OMP_NUM_THREADS": "1",
        "COVERAGE_FILE": str(folder() / "coverage" / name.replace(" ", "-")),
    }


def pytest(paths: Sequence[str], marker: str, *options: str) -> list[str]:
    """The command that runs the tests in `paths` that `marker` selects."""
    selected = ["-m", marker] if marker else []
    return [str(python.executable()), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *selected, *paths]


def measuring(coverage: bool) -> list[str]:
    """Options of pytest that measure coverage, in subprocesses too; pyproject.toml says of what."""
    if not coverage:
        return []
    (folder() / "coverage").mkdir(parents=True, exist_ok=True)
    return ["--cov", "--cov-report="]


def lint() -> list[Step]:
    ruff = [python.executable(), "-m", "ruff"]
    cache = f"--cache-dir={folder()}"
    mend = "`ci/check --fix` corrects what ruff can."
    begin_types(folder() / "mypy")
    return [
        _step("ruff check", [*ruff, "check", f"{cache}/ruff"], mend, True),
        _step("ruff format", [*ruff, "format", "--check", f"{cache}/ruff"], mend, True),
        _step("mypy", [python.executable(), "-m", "mypy", f"{cache}/mypy"], "Correct the types that mypy names.", True),
    ]


def begin_types(cache: Path) -> None:
    """Begins mypy's cache of a new checkout with a copy of the newest of another: without it, mypy takes a minute.

    mypy compares the contents of files whose times differ, and checks again what differs and what imports it. SQLite's
    backup copies a database as a whole, even while mypy runs in the other checkout.
    """
    databases = sorted(cache.parent.parent.glob(f"*/{cache.name}/*/*.db"), key=lambda file: file.stat().st_mtime)
    if cache.exists() or not databases:
        return
    for database in databases[-1].parent.glob("*.db"):
        copy = cache / database.parent.name / database.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)


def tests(
    groups: Mapping[str, Sequence[str]], marker: str, reports: Path | None = None, coverage: bool = False
) -> list[Step]:
    """A step for each group of unit tests. It writes pytest's report to `reports`, under its name with `.xml`."""
    steps = []
    for name, paths in ((f"tests {group}", paths) for group, paths in groups.items()):
        options = ["-p", "ci.pytest_plugin", *measuring(coverage)]
        options += [f"--junitxml={reports}/{name}.xml"] if reports else []
        remedy = "Correct the tests or the code under test. `ci/check PATH` runs the tests of a folder or file only."
        steps.append(_step(name, pytest(paths, marker, *options), remedy, name in LOW_PRIORITY))
    return steps


def report_coverage() -> None:
    """Prints the coverage of the last run of each lane, file by file, with the lines that no test executed."""
    coverage: list[object] = [python.executable(), "-m", "coverage"]
    data = {"COVERAGE_FILE": str(folder() / "coverage" / ".all")}
    files = [path for path in (folder() / "coverage").iterdir() if not path.name.startswith(".")]
    run([*coverage, "combine", "--keep", "--quiet", *files], cwd=CHECKOUT, env=data)
    run([*coverage, "report"], cwd=CHECKOUT, env=data)


def fix() -> Step:
    """Applies ruff's safe fixes and its format to the checkout."""

    def work() -> None:
        for words in (["check", "--fix", "--exit-zero"], ["format"]):
            run([python.executable(), "-m", "ruff", *words, f"--cache-dir={folder()}/ruff"], cwd=CHECKOUT)

    return Step("ruff --fix", work, ("python",))


def _step(name: str, command: Sequence[object], remedy: str, low_priority: bool) -> Step:
    log = folder() / "logs" / f"{name.replace(' ', '-')}.log"
    work = partial(_run, name, command, remedy)
    return Step(name, work, ("python",), low_priority=low_priority, log=log, tail=OUTPUT_LINES)


def _run(name: str, command: Sequence[object], remedy: str) -> None:
    try:
        run(command, cwd=CHECKOUT, env=environment(name))
    except Failed as failure:
        raise Failed(failure.problem, remedy) from failure
