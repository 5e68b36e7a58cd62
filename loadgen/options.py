"""Defines the command line. Reports every mistake at once: the option, its value and the rule."""

import argparse
import math
from urllib.parse import urlsplit

from loadgen.client.endpoint import public_url
from loadgen.statistics import output as output_file

DEFAULT_URLS = {
    "classifier": "http://127.0.0.1:30080/predict",
    "query": "http://127.0.0.1:30080/predict",
    "lm": "http://127.0.0.1:30081/generate",
}
SECONDS = (float, 0.001, "a number of seconds, at least 0.001")
COUNT = (int, 1, "a whole number, at least 1")
RULES = {
    "duration_seconds": SECONDS,
    "timeout_seconds": SECONDS,
    "concurrency": COUNT,
    "dataset_size": COUNT,
    "max_new_tokens": COUNT,
    "sample_index": (int, 0, "a whole number, at least 0"),
}


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options, with numbers converted, and all mistakes in them; exit with 2 without a command."""
    options, unknown = parser().parse_known_args(arguments)
    mistakes = [f"{' '.join(unknown)}: not an option of this command."] if unknown else []
    mistakes += [mistake for name in RULES if name in options and (mistake := convert(options, name))]
    mistakes += url_mistakes(options.url)
    if getattr(options, "output", None):
        mistakes += [f"--output {options.output}: {mistake}" for mistake in output_file.mistakes(options.output)]
    return options, mistakes


def convert(options: argparse.Namespace, name: str) -> str | None:
    """Replace an option's text by its number; return the mistake if it breaks the option's rule."""
    number, minimum, rule = RULES[name]
    text = getattr(options, name)
    try:
        value = number(text)
        valid = math.isfinite(value) and value >= minimum
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        return f"--{name.replace('_', '-')} {text}: must be {rule}."
    setattr(options, name, value)
    return None


def url_mistakes(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        return [f"--url {public_url(url)}: must be http://HOST:PORT/PATH or https://HOST:PORT/PATH."]
    return []


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m loadgen",
        description="Sends load to a service and reports latency, rate and errors, or asks about one image.",
        epilog="Exit status: 0 if every request succeeded, 1 if one failed, 2 if the command line is wrong.",
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="classifier | lm | query")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        subparser.add_argument("--url", default=DEFAULT_URLS[name], help="the endpoint (%(default)s)")
        add_number(subparser, "timeout-seconds", "30", "S", "for one request, including the connection")
        return subparser

    classifier = command("classifier", "Send MNIST images to the classifier.")
    add_load_options(classifier, concurrency="40")
    add_number(classifier, "dataset-size", "2000", "N", "images to send in turn, evenly spaced in MNIST")
    lm = command("lm", "Send prompts to the language model.")
    add_load_options(lm, concurrency="2")
    add_number(lm, "max-new-tokens", "40", "N", "tokens to ask for in each request")
    query = command("query", "Ask the classifier about one MNIST image, and draw it.")
    add_number(query, "sample-index", "2001", "N", "index of the image, 0 to 69,999")
    return top


def add_load_options(command: argparse.ArgumentParser, concurrency: str) -> None:
    add_number(command, "duration-seconds", "120", "S", "time during which requests are sent")
    add_number(command, "concurrency", concurrency, "N", "simultaneous users, each with one request at a time")
    command.add_argument(
        "--keep-connections",
        action="store_true",
        help="keep connections open; by default each is replaced after 5 s, so that new pods receive load",
    )
    command.add_argument("--output", metavar="FILE", help="write the report and every request as JSON")


def add_number(command: argparse.ArgumentParser, name: str, default: str, metavar: str, text: str) -> None:
    """Add an option whose text `convert` turns into a number; argparse itself would exit at the first wrong one."""
    command.add_argument(f"--{name}", default=default, metavar=metavar, help=f"{text} (%(default)s)")
