"""The command line: each field of a scenario is a flag. Mistakes are reported all at once, each with its rule."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from loadgen.commands import exits, files
from loadgen.scenarios import scenario
from loadgen.scenarios.fields import Natural, Seconds, Url
from loadgen.scenarios.scenario import FLAGS, TARGETS, Scenario

HELP = {
    "classifier": "Send MNIST images, or the rows of a table, to the classifier.",
    "lm": "Send prompts to the language model's /generate.",
    "openai": "Send chats to an OpenAI endpoint, with streamed answers.",
    "oip": "Send MNIST images by the Open Inference Protocol.",
    "http": "Send a body of your own to any URL.",
    "query": "Ask the classifier about one MNIST image, and draw it.",
    "simulate": "Forecast what the autoscaler would do with another load or other values, by a measured run.",
    "report": "Write the report of a run as one HTML file; of two runs, compare them.",
}


class Query(BaseModel):
    """One question to the classifier."""

    url: Url
    timeout_seconds: Seconds
    sample_index: Natural


@dataclass(frozen=True)
class LoadOptions:
    """What a run does, and where its figures go. output, report: a path, or `-` for standard output."""

    scenario: Scenario
    output: str | None
    report: str | None


def parse(arguments: list[str]) -> tuple[str, argparse.Namespace, list[str]]:
    """Return the command, its flags as text, and the mistakes in their names. Exit with 2 without a command.

    A command line that begins with a flag is a load run whose target the scenario file names.
    """
    if arguments and arguments[0].startswith("--") and arguments[0] != "--help":
        arguments = ["run", *arguments]
    options, unknown = parser().parse_known_args(arguments)
    mistakes = [f"{' '.join(unknown)}: not an option of this command."] if unknown else []
    return options.command, options, mistakes


def load_options(command: str, options: argparse.Namespace) -> tuple[LoadOptions | None, list[str]]:
    """Return the validated options of a load run, and all mistakes in them."""
    flags = {name: getattr(options, name) for name in Scenario.model_fields if getattr(options, name, None) is not None}
    path = Path(options.scenario) if options.scenario else None
    if command != "run":
        flags["target"] = command
    elif path is None:
        return None, [f"--scenario FILE: without a command ({', '.join(TARGETS)}) it names the target."]
    valid, mistakes = scenario_of(path, flags)
    mistakes += [*output_mistakes("output", options.output), *output_mistakes("report", options.report)]
    if options.output and options.report and files.same(options.output, options.report):
        mistakes.append(f"--output and --report: both are {options.report}; name two files.")
    if valid is None or mistakes:
        return None, mistakes
    return LoadOptions(valid, options.output, options.report), []


def scenario_of(path: Path | None, flags: Mapping[str, Any] | None = None) -> tuple[Scenario | None, list[str]]:
    """Return the scenario of a file, which flags override, and all mistakes in both."""
    try:
        return scenario.validate(scenario.load(path) if path else {}, flags or {}, path)
    except ValueError as error:
        return None, [f"--scenario {error}"]


def query_options(options: argparse.Namespace) -> tuple[Query | None, list[str]]:
    """Return the validated options of a query, and all mistakes in them."""
    fields = {name: getattr(options, name) for name in Query.model_fields}
    try:
        return Query.model_validate(fields), []
    except ValidationError as error:
        return None, [scenario.mistake(entry, str(entry["loc"][0]), fields) for entry in error.errors()]


def output_mistakes(flag: str, path: str | None) -> list[str]:
    """Return why a flag's file cannot be written."""
    return [f"--{flag} {path}: {mistake}" for mistake in files.mistakes(path)] if path is not None else []


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m loadgen",
        description="Sends load to a service, watches its autoscaler, and reports both on one clock.",
        epilog=exits.DESCRIPTION,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar=" | ".join(HELP))

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, epilog=exits.DESCRIPTION, allow_abbrev=False)

    for target in TARGETS:
        add_load_flags(command(target, HELP[target]), target)
    add_load_flags(command("run", "The target of --scenario FILE; `run` can be left out."), None)
    simulating = command("simulate", HELP["simulate"])
    simulating.add_argument("file", metavar="FILE.json", help="a run with --observe: the model is fitted to it")
    simulating.add_argument("--scenario", metavar="FILE", help="another load than the measured one")
    simulating.add_argument("--hpa", metavar="FILE.yaml", help="another `autoscaling` of the chart's values, or an HPA")
    simulating.add_argument("--seed", default="0", metavar="N", help="of the 200 draws (%(default)s)")
    reporting = command("report", HELP["report"])
    reporting.add_argument("files", nargs="+", metavar="FILE.json", help="what --output has written")
    reporting.add_argument("--report", metavar="FILE.html", help="where to write it (A.html, or A-B.html of two)")
    query = command("query", HELP["query"])
    query.add_argument("--url", default=scenario.DEFAULT_URLS["classifier"], help="the endpoint (%(default)s)")
    timeout = f"{scenario.DEFAULT_TIMEOUT_SECONDS['classifier']:g}"
    query.add_argument("--timeout-seconds", default=timeout, metavar="S", help="for the request (%(default)s)")
    query.add_argument("--sample-index", default="2001", metavar="N", help="of the image, 0 to 69,999 (%(default)s)")
    return top


def add_load_flags(command: argparse.ArgumentParser, target: str | None) -> None:
    command.add_argument("--scenario", metavar="FILE", help="YAML file with these flags as fields; flags override it")
    for name, field in Scenario.model_fields.items():
        hints: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if name == "target" or (target and target not in hints.get("targets", TARGETS)):
            continue
        flag, text = "--" + str(FLAGS[name]).replace("_", "-"), field.description or ""
        default = _default(name, field.default, target)
        if field.annotation is bool:
            command.add_argument(flag, dest=name, action="store_true", default=None, help=text)
        elif isinstance(field.default, tuple):
            command.add_argument(flag, dest=name, action="append", metavar=hints["metavar"], help=f"{text}; repeatable")
        else:
            metavar = hints.get("metavar", "constant|poisson")
            command.add_argument(flag, dest=name, metavar=metavar, help=f"{text} ({default})" if default else text)
    command.add_argument("--output", metavar="FILE.json", help="write every figure and request; - is standard output")
    command.add_argument("--report", metavar="FILE.html", help="write the report, one self-contained file")


def _default(name: str, default: Any, target: str | None) -> str:
    if name == "url":
        return scenario.DEFAULT_URLS.get(target or "", "")
    if name == "concurrency" and target:
        return str(scenario.DEFAULT_CONCURRENCY[target])
    if name == "timeout_seconds" and target:
        return f"{scenario.DEFAULT_TIMEOUT_SECONDS[target]:g}"
    if name == "connections":
        return f"renew:{default:g}s"
    return f"{default:g}" if isinstance(default, float) else str(default or "")
