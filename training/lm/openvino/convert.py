"""Converts a plain transformers folder to OpenVINO with 8-bit weights, and measures what that changes."""

import json
import shutil
from pathlib import Path
from typing import TypedDict

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training import environments
from training.environments import run
from training.errors import TrainingError
from training.lm.describe import Description, Probe
from training.lm.openvino import agreement
from training.lm.openvino.agreement import Agreement, Reading
from training.progress import step

MODEL_FILES = ("openvino_model.xml", "openvino_model.bin")


class Measurement(TypedDict):
    """The output of `training.lm.openvino.reading`."""

    readings: list[Reading]
    answers: list[list[int]]
    libraries: dict[str, str]


def convert(plain: Path, description: Description, work: Path) -> tuple[Path, Description]:
    """Return a new folder in `work` and its description, made from the `plain` folder and its `description`.

    Raises TrainingError if the converted model is outside the bounds of `agreement`.
    """
    programs = environments.ready("openvino")
    with step("converting to OpenVINO with 8-bit weights"):
        staged = _export(programs, plain, work)
    with step("comparing with the original"):
        output, measured = _measure(programs, staged, plain, description["probes"])
    agreement.require(measured)
    return staged, {
        "engine": "openvino",
        "input": description["input"],
        "hyperparameters": description["hyperparameters"] | {"dtype": "int8"},
        "metrics": {"agreement": measured},
        "libraries": output["libraries"],
        "probes": _reproduced(description["probes"], output["answers"]),
    }


def _export(programs: Path, plain: Path, work: Path) -> Path:
    """Return a folder with the converted weights; tokenizer and settings are copied byte for byte."""
    traced, staged = work / "traced", work / "staged"
    task = ["--task", "text-generation-with-past", "--weight-format", "int8", "--disable-convert-tokenizer"]
    run([programs / "optimum-cli", "export", "openvino", "--model", plain, *task, traced])
    run([programs / "python", "-m", "training.lm.openvino.joining", traced])
    shutil.copytree(plain, staged, ignore=shutil.ignore_patterns("*.safetensors*"))
    for name in MODEL_FILES:
        shutil.move(traced / name, staged / name)
    return staged


def _measure(programs: Path, staged: Path, plain: Path, probes: list[Probe]) -> tuple[Measurement, Agreement]:
    tokenizer = AutoTokenizer.from_pretrained(plain, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(plain, local_files_only=True, dtype=torch.float32)
    texts = [tokenizer(text).input_ids[: agreement.TEXT_TOKENS] for text in agreement.TEXTS]
    prompts = [[tokenizer(probe["prompt"]).input_ids, len(probe["token_ids"])] for probe in probes]
    command = [str(programs / "python"), "-m", "training.lm.openvino.reading", str(staged)]
    output: Measurement = json.loads(run(command, json.dumps({"texts": texts, "probes": prompts})))
    return output, agreement.compare([read(model, text) for text in texts], output["readings"])


@torch.inference_mode()
def read(model: torch.nn.Module, text: list[int]) -> Reading:
    """Return the predictions of `model` along a text of token ids."""
    logits = model(torch.tensor([text])).logits[0].log_softmax(-1)
    following = logits[:-1].gather(1, torch.tensor(text[1:])[:, None])
    return {"best": logits.argmax(-1).tolist(), "log_probabilities": following[:, 0].tolist()}


def _reproduced(probes: list[Probe], answers: list[list[int]]) -> list[Probe]:
    """Return the probes that the converted model answers as the original does; services must reproduce these."""
    same = [probe for probe, answer in zip(probes, answers, strict=True) if probe["token_ids"] == answer]
    if not same:
        raise TrainingError("The converted model answers no probe as the original does. Nothing is published.")
    return same
