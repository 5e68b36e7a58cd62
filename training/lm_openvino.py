"""Rounds the weights of a plain transformers folder to 8 bits, in OpenVINO's form, and measures what that changes."""

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training import agreement, openvino_environment
from training.agreement import Reading
from training.errors import TrainingError
from training.openvino_environment import run
from training.progress import step

MODEL_FILES = ("openvino_model.xml", "openvino_model.bin")


def convert(plain: Path, about: dict, work: Path) -> tuple[Path, dict]:
    """Return a new folder in `work` and what its manifest says, given `plain` and what `training.lm` says of that.

    Raises TrainingError where the two do not agree as `training.agreement` demands.
    """
    programs = openvino_environment.ready()
    with step("tracing it and rounding its weights to 8 bits"):
        staged = _export(programs, plain, work)
    with step("comparing it with the original"):
        found, measured = _measure(programs, staged, plain, about["probes"])
    agreement.require(measured)
    return staged, about | {
        "engine": "openvino",
        "hyperparameters": about["hyperparameters"] | {"dtype": "int8"},
        "metrics": {"agreement": measured},
        "libraries": found["libraries"],
        "probes": _repeated(about["probes"], found["answers"]),
    }


def _export(programs: Path, plain: Path, work: Path) -> Path:
    """Return a folder with the plain one's tokenizer and settings, byte for byte, and other weights."""
    traced, staged = work / "traced", work / "staged"
    task = ["--task", "text-generation-with-past", "--weight-format", "int8", "--disable-convert-tokenizer"]
    run([programs / "optimum-cli", "export", "openvino", "--model", plain, *task, traced])
    shutil.copytree(plain, staged, ignore=shutil.ignore_patterns("*.safetensors*"))
    for name in MODEL_FILES:
        shutil.move(traced / name, staged / name)
    return staged


def _measure(programs: Path, staged: Path, plain: Path, probes: list[dict]) -> tuple[dict, dict]:
    tokenizer = AutoTokenizer.from_pretrained(plain, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(plain, local_files_only=True, dtype=torch.float32)
    texts = [tokenizer(text).input_ids[: agreement.TEXT_TOKENS] for text in agreement.TEXTS]
    asked = {
        "texts": texts,
        "probes": [[tokenizer(probe["prompt"]).input_ids, len(probe["token_ids"])] for probe in probes],
    }
    found = json.loads(run([programs / "python", "-m", "training.openvino_reading", staged], json.dumps(asked)))
    readings = [Reading(**reading) for reading in found["readings"]]
    return found, agreement.compare([read(model, text) for text in texts], readings)


@torch.inference_mode()
def read(model: torch.nn.Module, text: list[int]) -> Reading:
    """Return how `model` reads a text of token ids."""
    logits = model(torch.tensor([text])).logits[0].log_softmax(-1)
    following = logits[:-1].gather(1, torch.tensor(text[1:])[:, None])
    return Reading(logits.argmax(-1).tolist(), following[:, 0].tolist())


def _repeated(probes: list[dict], answers: list[list[int]]) -> list[dict]:
    """Return the probes that the rounded model answers as the original does: no machine's rounding changes these."""
    same = [probe for probe, answer in zip(probes, answers, strict=True) if probe["token_ids"] == answer]
    if not same:
        raise TrainingError("the rounded model answers no probe as the original does. Nothing is published.")
    return same
