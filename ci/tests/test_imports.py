"""Imports flow one way: models <- apps.serving <- apps.classifier, apps.lm; training imports models,
and from apps the code that serves its models, to check them; loadgen and ci use HTTP and Kubernetes only, and
ci/benchmarks and ci/e2e send their load with loadgen. No modules import each other in a circle, nor do a folder and
the modules outside it."""

import ast
from functools import cache
from graphlib import TopologicalSorter
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


@cache
def imported_names(file: Path) -> set[str]:
    """Modules that a file imports, or `module.name` of what it imports from them; those for types only as well."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return names | {f"{node.module}.{alias.name}" for node in imports for alias in node.names}


def imported(file: Path) -> set[str]:
    names = imported_names(file)
    return {part for part in PARTS for name in names if f"{name}.".startswith(f"{part}.")}


def modules() -> dict[str, Path]:
    """The file of each module outside of tests."""
    folders = (CHECKOUT / part for part in ALLOWED)
    files = {file for folder in folders for file in folder.rglob("*.py") if "tests" not in file.parts}
    return {".".join(file.relative_to(CHECKOUT).with_suffix("").parts): file for file in files}


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


def imports() -> dict[str, set[str]]:
    """The modules of ours that each module imports."""
    files, graph = modules(), {}
    for module, file in files.items():
        names = imported_names(file)
        graph[module] = {name for name in names | {name.rpartition(".")[0] for name in names} if name in files}
    return graph


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter(imports()).prepare()  # raises CycleError with the modules of a circle


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted({module.rpartition(".")[0] for module in modules()}))
def test_no_folder_and_modules_outside_it_import_each_other_in_a_circle(folder: str):
    def node(module: str) -> str:
        return folder if module.startswith(f"{folder}.") else module

    graph: dict[str, set[str]] = {}
    for module, names in imports().items():
        graph.setdefault(node(module), set()).update({node(name) for name in names} - {node(module)})
    TopologicalSorter(graph).prepare()
