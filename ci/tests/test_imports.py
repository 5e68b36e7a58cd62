"""Imports flow one way: models <- apps.serving <- apps.classifier, apps.lm; training imports models,
and from apps the code that serves its models, to check them; loadgen and ci use HTTP and Kubernetes only, and
ci/benchmarks and ci/e2e send their load with loadgen."""

import ast
from pathlib import Path

import pytest

from ci.cache import CHECKOUT

# Part -> the other parts that it may import.
ALLOWED = {
    "models": set(),
    "apps/serving": {"models"},
    "apps/classifier": {"models", "apps.serving"},
    "apps/lm": {"models", "apps.serving"},
    "training": {"models", "apps.classifier", "apps.lm"},
    "loadgen": set(),
    "ci": {"ci.benchmarks", "ci.e2e"},
    "ci/benchmarks": {"loadgen", "ci"},
    "ci/e2e": {"loadgen", "ci"},
}
PARTS = {part.replace("/", ".") for part in ALLOWED}


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {part for part in PARTS for name in names if f"{name}.".startswith(f"{part}.")}


def part_of(file: Path) -> str:
    """Return the innermost part that contains a file."""
    return max((part for part in ALLOWED if file.is_relative_to(CHECKOUT / part)), key=len)


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_the_parts_below_it(part: str):
    own = part.replace("/", ".")
    wrong = {
        str(file.relative_to(CHECKOUT)): others
        for file in (CHECKOUT / part).rglob("*.py")
        if part_of(file) == part and "tests" not in file.parts and (others := imported(file) - ALLOWED[part] - {own})
    }
    assert not wrong
