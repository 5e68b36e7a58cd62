"""`ci/check`, and lane `unit` of `ci/test`, run every check even if others fail, and leave nothing in the checkout."""

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from ci import checks, python
from ci.cache import CACHE, CHECKOUT

# `ci/test` with a lock of its own: the machine's is held while these tests run in `ci/test unit`.
COMMAND = """
import runpy, sys
from ci import cache, lock

lock.MACHINE = cache.CACHE
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# Stands in for the environment's Python, and so for ruff, mypy and pytest. Logs its call, fails if the call contains
# `failing`, and reports three tests as pytest does.
STAND_IN = """#!/bin/sh
echo "$*" >>{calls}
case "$*" in *{failing}*) echo "x.py:1: error: wrong"; exit 1 ;; esac
for word; do case $word in --junitxml=*)
    echo '<testsuites><testsuite tests="3" failures="0" errors="0" skipped="1"/></testsuites>' >"${{word#*=}}"
esac done
"""


@pytest.fixture
def check(tmp_path):
    """Runs a command of ci where programs whose call contains `failing` fail; returns its outcome and their calls."""

    def run(
        failing: str, *options: str, command: str = "ci/check"
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        calls = tmp_path / "calls"
        program = tmp_path / "cache/inference-service" / python.executable().relative_to(CACHE)
        program.parent.mkdir(parents=True)
        program.write_text(STAND_IN.format(calls=calls, failing=failing))
        program.chmod(0o755)
        (program.parents[1] / "complete").touch()
        variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        words = [sys.executable, "-c", COMMAND, command, *options]
        done = subprocess.run(words, cwd=CHECKOUT, env=variables, capture_output=True, text=True)
        return done, calls.read_text().splitlines()

    return run


@pytest.mark.parametrize(
    ("failing", "name", "remedy"),
    [
        ("mypy", "mypy", "Correct the types that mypy names."),
        ("format", "ruff format", "`ci/check --fix` corrects what ruff can."),
        ("apps/lm", "tests lm", "`ci/check PATH` runs the tests of a folder or file only."),
    ],
)
def test_a_failed_check_shows_name_output_and_remedy_and_all_others_run(check, failing, name, remedy):
    done, calls = check(failing)
    assert done.returncode == 1
    assert "| x.py:1: error: wrong" in done.stderr and remedy in done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"failed: {name}")
    assert len(calls) == 3 + len(checks.UNIT) and done.stdout.count("  ok  ") == len(calls) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failing", "totals"),
    [
        ("nothing", "11 passed, 0 failed, 4 skipped"),
        ("mypy", "10 passed, 1 failed, 4 skipped"),
        ("apps/lm", "9 passed, 1 failed, 3 skipped"),
    ],
    ids=["all pass", "mypy fails", "pytest fails without a report"],
)
def test_lane_unit_counts_lint_and_types_with_the_tests(check, failing, totals):
    done, _ = check(failing, "unit", command="ci/test")
    assert done.stdout.splitlines()[-1] == totals
    assert done.returncode == (failing != "nothing")


def test_a_path_selects_tests_with_the_slow_ones_and_lint_and_types_are_checked_as_without_one(check):
    done, calls = check("nothing", "apps/lm/tests")
    assert done.returncode == 0
    (tests,) = (call for call in calls if "-m pytest" in call)
    assert tests.endswith(f"-m {checks.UNMARKED} apps/lm/tests") and len(calls) == 4


def test_without_a_path_slow_tests_are_left_out_and_the_cpu_time_of_the_others_is_bounded(check):
    _, calls = check("nothing")
    tests = [call for call in calls if "-m pytest" in call]
    assert all(f"-p ci.pytest_plugin -m {checks.QUICK} " in call for call in tests)


def test_fix_runs_before_the_checks(check):
    _, calls = check("nothing", "--fix")
    assert [call.split()[2:4] for call in calls[:2]] == [
        ["check", "--fix"],
        ["format", f"--cache-dir={calls[1].split('=')[1]}"],
    ]


def test_caches_are_outside_of_the_checkout(check, tmp_path):
    _, calls = check("nothing")
    for call in calls:
        assert f"--cache-dir={tmp_path}/cache/" in call or "-p no:cacheprovider" in call
    assert checks.environment("unit")["PYTHONPYCACHEPREFIX"].startswith(str(CACHE))


def test_a_first_check_copies_the_cache_of_types_of_another_checkout(check, tmp_path):
    other = tmp_path / "cache/inference-service/check/other/mypy/3.11/cache.0.db"
    other.parent.mkdir(parents=True)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE files2 (path)")
    check("nothing")
    (copy,) = set(other.parents[3].glob("*/mypy/3.11/*")) - {other}
    assert copy.name == other.name and copy.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_types_of_a_new_checkout_begin_with_the_cache_of_another_and_what_differs_is_checked(tmp_path):
    time = {"first": 1, "second": 2, "third": 3}

    def mypy(checkout: str, size: str) -> subprocess.CompletedProcess[str]:
        folder, cache = tmp_path / checkout, tmp_path / "check" / checkout / "mypy"
        folder.mkdir()
        (folder / "size.py").write_text(f"SIZE: int = {size}\n")
        (folder / "same.py").write_text("import size\nprint(size.SIZE)\n")
        os.utime(folder / "size.py", (0, time[checkout]))
        checks.begin_types(cache)
        command = [sys.executable, "-m", "mypy", "--verbose", "--config-file=", f"--cache-dir={cache}", "same.py"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    first, second, third = mypy("first", "100"), mypy("second", "100"), mypy("third", "'1'")
    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 1), third.stdout
    unknown = "Could not load cache for builtins"
    assert unknown in first.stderr and unknown not in second.stderr + third.stderr
    assert "Metadata abandoned for size" not in second.stderr
    assert "size.py:1: error: Incompatible types in assignment" in third.stdout


def unit_test_files(paths: list[str]) -> set[Path]:
    """The files of unit tests that pytest collects for these arguments, relative to the checkout."""
    ignored = tuple(path.removeprefix("--ignore=") for path in paths if path.startswith("--ignore="))
    folders = [path for path in paths if not path.startswith("--")]
    files = {file.relative_to(CHECKOUT) for folder in folders for file in (CHECKOUT / folder).rglob("test_*.py")}
    return {file for file in files if not str(file).startswith(ignored)} if ignored else files


def test_every_unit_test_is_in_one_group():
    groups = [unit_test_files(paths) for paths in checks.UNIT.values()]
    paths = [*("apps", "training", "loadgen", "models", "ci"), "--ignore=ci/chart", "--ignore=ci/e2e"]
    everything = unit_test_files(paths)
    assert set.union(*groups) == everything and sum(map(len, groups)) == len(everything)


def test_only_one_group_imports_torch():
    heavy = re.compile(r"^(import|from) (torch|transformers|apps\.lm(?!\.tests import process$))\b", re.MULTILINE)
    groups = {
        name
        for name, paths in checks.UNIT.items()
        for file in unit_test_files(paths)
        if heavy.search((CHECKOUT / file).read_text())
    }
    assert groups == {"lm"}, "its import takes several seconds of each group's process"


def test_scripts_without_suffix_are_linted_and_type_checked():
    """ci/demo was in neither list once, and called a function that no longer existed."""
    tools = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]
    files = (path for path in CHECKOUT.glob("*/*") if path.is_file() and not path.suffix)
    scripts = {
        str(path.relative_to(CHECKOUT)) for path in files if path.read_bytes().startswith(b"#!/usr/bin/env python3")
    }
    assert "ci/demo" in scripts
    assert scripts <= set(tools["ruff"]["extend-include"])
    assert scripts <= set(tools["mypy"]["files"])
