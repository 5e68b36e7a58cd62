"""Runs the commands: from the words of the command line to an exit status."""

import asyncio
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from loadgen.client import ask as client
from loadgen.commands import exits, files, options, simulate
from loadgen.commands.load import load
from loadgen.report import page
from loadgen.report.compare import compare
from loadgen.report.reading import read_document
from loadgen.scenarios.scenario import DEFAULT_MODELS, TARGETS, Scenario
from loadgen.targets import classifier, lm, mnist, open_inference, openai, rows, template
from loadgen.targets.target import Target
from loadgen.terminal import digit
from loadgen.terminal.summary import NO_SERVICE_HINT
from loadgen.text import error_name


def main(arguments: list[str] | None = None) -> int:
    command, words, mistakes = options.parse(sys.argv[1:] if arguments is None else arguments)
    status = 0
    if command == "query":
        status, more = query(words, mistakes)
    elif command == "report":
        status, more = report(words, mistakes)
    elif command == "simulate":
        more = simulate.run(words, mistakes)
    else:
        status, more = run(command, words, mistakes)
    if more:
        print(*[f"python -m loadgen {command}:", *more], sep="\n  ", file=sys.stderr)
        return exits.USAGE
    return status


def run(command: str, words: Namespace, mistakes: list[str]) -> tuple[int, list[str]]:
    """Carry out a load run; return its exit status, or the mistakes in its options."""
    valid, more = options.load_options(command, words)
    mistakes = [*mistakes, *more]
    target = None
    if valid is not None:
        target, more = target_of(valid.scenario.target, words, valid.scenario)
        mistakes += more
    elif command in TARGETS:
        mistakes += target_of(command, words, None)[1]
    if valid is None or target is None or mistakes:
        return exits.USAGE, mistakes
    return load(valid, target), []


def target_of(name: str, words: Namespace, scenario: Scenario | None) -> tuple[Target | None, list[str]]:
    """Return the target, or the mistakes in what it needs; `scenario` is None if its own fields are wrong."""
    if name == "classifier" and (scenario.rows if scenario else getattr(words, "rows", None)):
        return table_of(scenario) if scenario else (None, [])
    if name in ("classifier", "oip"):
        text = str(getattr(words, "dataset_size", None))
        size = scenario.dataset_size if scenario else int(text) if text.isdecimal() else 0
        images, mistakes = load_images(size)
        if images is None or scenario is None or mistakes:
            return None, mistakes
        indices = mnist.spread(len(images), scenario.dataset_size)
        if name == "classifier":
            return classifier.classifier(images, indices), []
        return open_inference.images(scenario.model or DEFAULT_MODELS["oip"], images, indices), []
    if scenario is None:
        return None, []
    if name == "lm":
        return lm.lm(scenario.max_new_tokens), []
    if name == "openai":
        return openai.chats(scenario.model or DEFAULT_MODELS["openai"], scenario.max_new_tokens), []
    filling, mistakes = read_rows(scenario)
    try:
        body = scenario.body.read_text() if scenario.body else ""
        return (None, mistakes) if mistakes else (template.template(body, filling), [])
    except ValueError as error:
        return None, [*mistakes, f"--body {scenario.body}: {error}."]


def table_of(scenario: Scenario) -> tuple[Target | None, list[str]]:
    """Return the target that sends the rows of a CSV, or the mistakes in it."""
    table, mistakes = read_rows(scenario)
    indices = mnist.spread(len(table), min(len(table), scenario.dataset_size))
    return (None, mistakes) if mistakes else (classifier.table(table, indices), [])


def read_rows(scenario: Scenario) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of the scenario's CSV, none without one, and the mistakes in it."""
    try:
        return rows.read(scenario.rows) if scenario.rows else [], []
    except ValueError as error:
        return [], [f"--rows {scenario.rows}: {error}."]


def load_images(size: int = 0, index: int = -1) -> tuple[mnist.Mnist | None, list[str]]:
    """Return the images, and what is wrong with them or with the number or the index that is asked for."""
    try:
        images = mnist.load()
    except mnist.DatasetError as error:
        return None, [str(error)]
    mistakes = []
    if size > len(images):
        mistakes.append(f"--dataset-size {size}: MNIST has {len(images)} images.")
    if index >= len(images):
        mistakes.append(f"--sample-index {index}: the last image is number {len(images) - 1}.")
    return images, mistakes


def query(words: Namespace, mistakes: list[str]) -> tuple[int, list[str]]:
    """Ask about one image."""
    asked, more = options.query_options(words)
    images, missing = load_images(index=asked.sample_index if asked else -1)
    mistakes = [*mistakes, *more, *missing]
    if asked is None or images is None or mistakes:
        return exits.USAGE, mistakes
    index, label = asked.sample_index, str(images.labels[asked.sample_index])
    print(f"image {index:,} of {len(images):,}, label {label}\n", flush=True)
    print(digit.draw(images.images[index]) + "\n", flush=True)
    target = classifier.classifier(images, [index])
    (exchange,) = asyncio.run(client.ask(target, asked.url, asked.timeout_seconds))
    if exchange.outcome:
        hint = [] if exchange.status else [NO_SERVICE_HINT]
        reason = error_name(exchange.outcome.label, exchange.status, exchange.detail)
        print("no prediction", f"             {reason}", *hint, sep="\n", file=sys.stderr)
        return exits.REQUESTS_FAILED, []
    print(digit.answer_text(exchange, label))
    return 0, []


def report(words: Namespace, mistakes: list[str]) -> tuple[int, list[str]]:
    """Write the report of an earlier run, or the comparison of two; return the exit status, or the mistakes."""
    documents, more = [], list(mistakes)
    if len(words.files) > 2:
        more.append(f"{len(words.files)} files: one run is reported, two are compared.")
    for name in words.files:
        try:
            documents.append(read_document(Path(name)))
        except ValueError as error:
            more.append(f"{name}: {error}")
    stem = "-".join(Path(name).stem for name in words.files[:2])
    written = words.report or str(Path(words.files[0]).with_name(f"{stem}.html"))
    more += options.output_mistakes("report", written)
    if more:
        return exits.USAGE, more
    names = (words.files[0], words.files[-1])
    text = page.report(documents[0]) if len(documents) == 1 else compare(documents[0], documents[1], names)
    if not files.write_text("report", written, text):
        return exits.REQUESTS_FAILED, []
    if not files.is_standard_output(written):
        print(f"The report is in {written}.")
    return 0, []
