"""Describes an ONNX file that any framework wrote; its own answers are the probes."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.evaluator import RowError
from apps.classifier.onnx.inputs import WHOLE
from apps.classifier.onnx.model import OnnxModel
from apps.classifier.table import Table
from models.artifact import read_file
from models.features import Feature
from training.classifier.features import learn
from training.classifier.onnx import agreement, sampling
from training.errors import TrainingError
from training.libraries import versions

PROBES = 10
SUM_BOUND = 1e-3  # of probabilities in float16, whose sum is rounded


class Nameless:
    """What is known of the rows of an ONNX file."""

    feature_names: tuple[str, ...] = ()

    def __init__(self, model: OnnxModel) -> None:
        self.n_features = model.n_features


def describe(
    model: Path, sample: Path | None, features: Path | None, classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the manifest's keys for the ONNX file `model`; raise TrainingError where it is not served.

    `classes` are the names of the classes, where the file does not tell them and answers their probabilities.
    """
    try:
        content = read_file(model, max_bytes())
        unnamed = OnnxModel(content)
        named = learn(Nameless(unnamed), True, sample, features)
        learnt = [_typed(feature, dtype) for feature, dtype in zip(named, unnamed.inputs.types, strict=True)]
        if classes and unnamed.classes:
            raise ValueError(f"it names its classes itself: {', '.join(unnamed.classes[:12])}. Leave --classes out")
        loaded = OnnxModel(content, learnt, classes or ())
        probes = list(islice(_probes(loaded, learnt, sample), PROBES))
    except (UnreadableError, OSError, ValueError) as error:
        raise TrainingError(f"'{model}' is not served: {error}.") from None
    if not probes:
        raise TrainingError(f"'{model}' answers no row by finite numbers. Give rows that it answers by --sample.")
    return {
        "engine": "onnx",
        "input": {
            "kind": "table", "shape": [len(learnt)], "dtype": "float64",
            "features": [feature.to_json() for feature in learnt],
        },
        "classes": list(loaded.classes),
        "metrics": {"row_seconds": loaded.row_seconds},
        "libraries": versions("onnx", "onnxruntime"),
        "probes": probes,
    }  # fmt: skip


def _probes(model: OnnxModel, learnt: Sequence[Feature], sample: Path | None) -> Iterator[dict[str, Any]]:
    """Yield rows that the model answers, with its answers."""
    table = Table(learnt, np.float64)
    for request in sampling.requests(learnt, sample):
        with contextlib.suppress(RowError):
            (row,), (predicted,) = model.answers(table.rows([((), request)]))
            if np.isfinite(row).all():
                if model.classes:
                    _require_probabilities(row)
                yield {"features": request, **_answer(model, row.tolist(), predicted), "tolerance": agreement.BOUND}


def _require_probabilities(row: np.ndarray) -> None:
    if (row < 0).any() or abs(row.sum() - 1) > SUM_BOUND:
        subject = f"it answers a row by {row[:4].tolist()}"
        remedy = "end the model with a softmax (torch.nn.Softmax(dim=1)) and export it again"
        raise ValueError(
            f"{subject}, and probabilities of classes lie from 0 to 1 and sum to 1. If these are logits, {remedy}, "
            "or leave --classes out: they are served as values then"
        )


def _typed(feature: Feature, dtype: str) -> Feature:
    """Return a feature of which nothing is described as the type of its input has it: integers are never missing."""
    if dtype not in WHOLE or feature != Feature(name=feature.name, missing="null"):
        return feature
    return Feature(name=feature.name, kind="bool" if dtype == "tensor(bool)" else "int")


def _answer(model: OnnxModel, row: list[float], predicted: int) -> dict[str, Any]:
    if model.classes:
        return {"label": model.classes[predicted], "probabilities": row}
    return {"value": row if len(row) > 1 else row[0]}
