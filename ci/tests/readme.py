"""Reads the commands in the fenced blocks of the READMEs, for the tests that check and run them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ci.cache import CHECKOUT

SHELLS = {"console", "sh", "bash", "shell"}
PROGRAMS = {"curl", "docker", "helm", "helmfile", "kubectl", "minikube", "printf", "python", "python3", "sed"}
DRAWING = re.compile("[─│►▼]")
FENCE = re.compile(r"^ *```(\w*)$")
ASSIGNMENT = re.compile(r"\w+=")


@dataclass(frozen=True)
class Command:
    """One command line, and the output that the document prints below it."""

    document: Path
    line: int
    text: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.document.relative_to(CHECKOUT)}:{self.line}: {self.text}"


def documents() -> list[Path]:
    """Return the Markdown files of the checkout that may have commands."""
    names = CHECKOUT.glob("*.md")
    parts = (part.rglob("*.md") for part in CHECKOUT.iterdir() if part.is_dir() and not part.name.startswith("."))
    every = [*names, *(file for files in parts for file in files)]
    return sorted(file for file in every if not {"node_modules", ".venv"} & set(file.parts))


def commands(document: Path) -> list[Command]:
    """Return the commands of all blocks.

    In a `console` block, lines that start with "$ " are commands and the others are output; in blocks of other shells
    every line is a command. A block without a language is one of commands if it starts with a known program.
    """
    return [c for language, start, lines in _blocks(document) for c in _read(document, language, start, lines)]


def simple_commands(text: str) -> list[list[str]]:
    """Split a command line at `;`, `|`, `&`, and at `$(…)`, which are commands too; without assignments before them."""
    text, nested = _without_substitutions(text)
    tokens = shlex.shlex(text, posix=True, punctuation_chars=";|&<>")
    tokens.whitespace_split = True
    parts: list[list[str]] = [[]]
    for token in tokens:
        if set(token) <= set(";|&"):
            parts.append([])
        elif parts[-1] or not ASSIGNMENT.match(token):
            parts[-1].append(token)
    return [part for part in parts if part] + [part for inner in nested for part in simple_commands(inner)]


def _blocks(document: Path) -> Iterator[tuple[str, int, list[str]]]:
    language, start, block = "", 0, list[str]()
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if not (fence := FENCE.match(line)):
            block.append(line)
        elif start:
            if language in SHELLS or (not language and _starts_with_program(block)):
                yield language, start, block
            start = 0
        else:
            language, start, block = fence[1], number + 1, []
    assert not start, f"{document} ends within a block"


def _starts_with_program(block: list[str]) -> bool:
    if DRAWING.search("".join(block)):
        return False
    words = [word for word in (block or [""])[0].removeprefix("$ ").split() if not ASSIGNMENT.match(word)]
    return bool(words) and (words[0] in PROGRAMS or words[0].startswith("ci/"))


def _read(document: Path, language: str, start: int, lines: list[str]) -> Iterator[Command]:
    prompts = language == "console" or any(line.lstrip().startswith("$ ") for line in lines)
    numbered = iter(enumerate(lines, start))
    command: Command | None = None
    for number, line in numbered:
        text = line.strip()
        if prompts and not text.startswith("$ "):
            if command:
                command = Command(document, command.line, command.text, f"{command.output}{line}\n")
            continue
        if command:
            yield command
        text = text.removeprefix("$ ")
        while not _is_complete(text):
            _, following = next(numbered)
            text = f"{text[:-1]}{following.strip()}" if text.endswith("\\") else f"{text}\n{following}"
        command = Command(document, number, text) if text and not text.startswith("#") else None
    if command:
        yield command


def _is_complete(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quotation continues
        return False
    return not text.endswith("\\")


def _without_substitutions(text: str) -> tuple[str, list[str]]:
    """Replace each `$(…)` by a word; return the text and what was inside."""
    nested = []
    while (start := text.find("$(")) >= 0:
        depth, end = 1, start + 2
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        nested.append(text[start + 2 : end - 1])
        text = f"{text[:start]}substituted{text[end:]}"
    return text, nested
