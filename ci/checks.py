"""Lint, formatting, types and unit tests: what `ci/check` runs, and lane `unit` of `ci/test` with the slow tests too.

All of it runs side by side. Each group of unit tests is one pytest process that imports only what its parts need:
importing torch and transformers takes seconds, so equal workers that import everything (xdist) take longer.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ci import python
from ci.cache import CACHE, CHECKOUT, key
from ci.run import Failed, run
from ci.steps import Step

UNIT = {
    "lm": ["apps/lm"],
    "classifier": ["apps/classifier", "training"],
    "others": ["apps/serving", "loadgen", "models", "ci", "--ignore=ci/chart", "--ignore=ci/e2e"],
}
PATIENT = ["classifier"]  # its tests measure no time, so they can leave the CPU to the longest group
QUICK = "not service and not full and not slow"
OUTPUT_LINES = 200  # of a failed check, which its developer wants to read at once


def folder() -> Path:
    """Caches and logs of this checkout's checks; two checkouts would overwrite each other's."""
    return CACHE / "check" / key(str(CHECKOUT))


def environment() -> dict[str, str]:
    """The variables for pytest: bytecode goes to the cache, so imports are fast and the checkout stays clean."""
    return {"PYTHONPYCACHEPREFIX": str(python.folder() / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}


def pytest(paths: list[str], marker: str, *options: str) -> list[str]:
    """The command that runs the tests in `paths` that `marker` selects."""
    selected = ["-m", marker] if marker else []
    return [str(python.executable()), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *selected, *paths]


def lint() -> list[Step]:
    ruff = [python.executable(), "-m", "ruff"]
    cache = f"--cache-dir={folder()}"
    mend = "`ci/check --fix` mends what ruff can."
    return [
        _step("ruff check", [*ruff, "check", f"{cache}/ruff"], mend, True),
        _step("ruff format", [*ruff, "format", "--check", f"{cache}/ruff"], mend, True),
        _step("mypy", [python.executable(), "-m", "mypy", f"{cache}/mypy"], "Mend the types that mypy names.", True),
    ]


def tests(groups: Mapping[str, list[str]], marker: str, *options: Callable[[str], str]) -> list[Step]:
    """A step for each group of unit tests; `options` make options of pytest from the group's name."""
    again = "Mend the tests or what they test. `ci/check PATH` runs the tests of a folder or file only."
    return [
        _step(f"tests {name}", pytest(paths, marker, *(option(name) for option in options)), again, name in PATIENT)
        for name, paths in groups.items()
    ]


def fix() -> Step:
    """Applies ruff's safe fixes and its format to the checkout."""

    def work() -> None:
        for words in (["check", "--fix", "--exit-zero"], ["format"]):
            run([python.executable(), "-m", "ruff", *words, f"--cache-dir={folder()}/ruff"], cwd=CHECKOUT)

    return Step("ruff --fix", work, ("python",))


def _step(name: str, command: Sequence[object], remedy: str, patient: bool) -> Step:
    log = folder() / "logs" / f"{name.replace(' ', '-')}.log"
    return Step(name, partial(_run, command, remedy), ("python",), patient=patient, log=log, tail=OUTPUT_LINES)


def _run(command: Sequence[object], remedy: str) -> None:
    try:
        run(command, cwd=CHECKOUT, env=environment())
    except Failed as failure:
        raise Failed(failure.what, remedy) from failure
