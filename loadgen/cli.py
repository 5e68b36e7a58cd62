"""Runs the commands: options, run, report, exit status."""

import asyncio
import os
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from loadgen import mnist, query
from loadgen.client import ask as client
from loadgen.client.endpoint import public_url
from loadgen.engine import run as engine
from loadgen.engine.limits import Refused
from loadgen.engine.plan import Phase, Plan
from loadgen.engine.run import Recorded
from loadgen.engine.stop import Stop
from loadgen.options import parse
from loadgen.statistics import output
from loadgen.statistics.document import document
from loadgen.targets.classifier import classifier
from loadgen.targets.lm import lm
from loadgen.targets.target import Target
from loadgen.terminal import NO_SERVICE_HINT, Progress, error_name, headline, summary_text

CONNECTION_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    options, mistakes = parse(arguments)
    images = None if options.command == "lm" else load_images(options, mistakes)
    if mistakes:
        print(*[f"python -m loadgen {options.command}:", *mistakes], sep="\n  ", file=sys.stderr)
        return 2
    if images is None:
        return load(options, lm(options.max_new_tokens), {"max_new_tokens": options.max_new_tokens})
    if options.command == "query":
        return ask(options, images)
    indices = mnist.spread(len(images), options.dataset_size)
    return load(options, classifier(images, indices), {"dataset_size": options.dataset_size})


def load_images(options: Namespace, mistakes: list[str]) -> mnist.Mnist | None:
    try:
        images = mnist.load()
    except mnist.DatasetError as error:
        mistakes.append(str(error))
        return None
    size, index = getattr(options, "dataset_size", 0), getattr(options, "sample_index", -1)
    if isinstance(size, int) and size > len(images):
        mistakes.append(f"--dataset-size {size}: MNIST has {len(images)} images.")
    if isinstance(index, int) and index >= len(images):
        mistakes.append(f"--sample-index {index}: the last image is number {len(images) - 1}.")
    return images


def load(options: Namespace, target: Target, size: dict[str, int]) -> int:
    """Run, write the report and print its summary; return 0 if there were requests and all succeeded, else 1."""
    connection_seconds = None if options.keep_connections else CONNECTION_SECONDS
    settings = {
        "duration_seconds": options.duration_seconds,
        "concurrency": options.concurrency,
        "timeout_seconds": options.timeout_seconds,
        "connection_seconds": connection_seconds,
    } | size
    plan = Plan(
        target=target,
        url=options.url,
        phases=(Phase("load", options.duration_seconds),),
        concurrency=options.concurrency,
        connections=connection_seconds or "kept",
        timeout_seconds=options.timeout_seconds,
        workers=len(os.sched_getaffinity(0)),
    )
    print(headline(target.name, public_url(options.url, target.path), settings), flush=True)
    progress = Progress(sys.stdout, options.duration_seconds)
    with Stop() as stop, tempfile.TemporaryDirectory(prefix="loadgen-") as folder:
        try:
            recorded = engine.run(plan, Path(folder), progress.show, stop)
        except Refused as refused:
            print(refused, file=sys.stderr)
            return 2
        progress.clear()
        report = document(recorded, settings)
        # Write the report first: printing fails if the reader of the output has exited.
        written = not options.output or write(options.output, report, recorded)
        print(summary_text(report))
    summary = report["summary"]
    return 0 if written and summary["requests"] and not summary["failed"] else 1


def write(path: str, report: dict[str, Any], recorded: Recorded) -> bool:
    try:
        output.write(path, report, recorded)
    except OSError as error:
        print(f"--output {path} could not be written: {error.strerror}.", file=sys.stderr)
        return False
    return True


def ask(options: Namespace, images: mnist.Mnist) -> int:
    index, label = options.sample_index, str(images.labels[options.sample_index])
    print(f"image {index:,} of {len(images):,}, label {label}\n", flush=True)
    print(query.draw(images.images[index]) + "\n", flush=True)
    (exchange,) = asyncio.run(client.ask(classifier(images, [index]), options.url, options.timeout_seconds))
    if exchange.outcome:
        hint = [] if exchange.status else [NO_SERVICE_HINT]
        reason = error_name(exchange.outcome.label, exchange.status, exchange.detail)
        print("no prediction", f"             {reason}", *hint, sep="\n", file=sys.stderr)
        return 1
    print(query.answer_text(exchange, label))
    return 0
