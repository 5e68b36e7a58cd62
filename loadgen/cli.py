"""Runs the commands: options, run, report, exit status."""

import asyncio
import math
import sys
from argparse import Namespace
from pathlib import Path

from loadgen import mnist, query, report
from loadgen.observe import Run
from loadgen.options import parse
from loadgen.run import carry_out
from loadgen.schedule import ClosedLoop
from loadgen.summary import errors
from loadgen.targets import Target, classifier, lm
from loadgen.terminal import NO_SERVICE_HINT, Progress, error_lines, headline, summary_text

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
    }
    run = Run(target.name, options.url, settings | size)
    print(headline(run), flush=True)
    progress = Progress(sys.stdout)
    # asyncio's own event loop: uvloop saved no CPU here (300-410 us a request, 320-360 with uvloop).
    asyncio.run(
        carry_out(
            run,
            target,
            ClosedLoop(options.concurrency, options.duration_seconds),
            timeout_seconds=options.timeout_seconds,
            connection_seconds=connection_seconds or math.inf,
            show=progress.show,
        )
    )
    progress.clear()
    # Write the report first: printing fails if the reader of the output has exited.
    written = not options.output or write(options.output, run)
    print(summary_text(report.document(run)))
    return 0 if written and run.observations and not run.failed else 1


def write(output: str, run: Run) -> bool:
    try:
        report.write(Path(output), run)
    except OSError as error:
        print(f"--output {output} could not be written: {error.strerror}.", file=sys.stderr)
        return False
    return True


def ask(options: Namespace, images: mnist.Mnist) -> int:
    index, label = options.sample_index, str(images.labels[options.sample_index])
    print(f"image {index:,} of {len(images):,}, label {label}\n", flush=True)
    print(query.draw(images.images[index]) + "\n", flush=True)
    observation, answer = asyncio.run(query.ask(images, index, options.url, options.timeout_seconds))
    if observation.outcome != "ok":
        hint = [] if observation.status else [NO_SERVICE_HINT]
        print("no prediction", *error_lines(errors([observation])), *hint, sep="\n", file=sys.stderr)
        return 1
    print(query.answer_text(answer, observation, label))
    return 0
