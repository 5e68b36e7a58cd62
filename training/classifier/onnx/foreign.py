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


class Nameless:
    """What is known of the rows of an ONNX file."""

    feature_names: tuple[str, ...] = ()

    def __init__(self, model: OnnxModel) -> None:
        self.n_features = model.n_features


def describe(model: Path, sample: Path | None, features: Path | None) -> dict[str, Any]:
    """Return the manifest's keys for the ONNX file `model`; raise TrainingError where it is not served."""
    try:
        content = read_file(model, max_bytes())
        unnamed = OnnxModel(content)
        named = learn(Nameless(unnamed), True, sample, features)
        learnt = [_typed(feature, dtype) for feature, dtype in zip(named, unnamed.inputs.types, strict=True)]
        loaded = OnnxModel(content, learnt)
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
            (row,) = model.evaluate(table.rows([((), request)]))
            if np.isfinite(row).all():
                yield {"features": request, **_answer(model, row.tolist()), "tolerance": agreement.BOUND}


def _typed(feature: Feature, dtype: str) -> Feature:
    """Return a feature of which nothing is described as the type of its input has it: integers are never missing."""
    if dtype not in WHOLE or feature != Feature(name=feature.name, missing="null"):
        return feature
    return Feature(name=feature.name, kind="bool" if dtype == "tensor(bool)" else "int")


def _answer(model: OnnxModel, row: list[float]) -> dict[str, Any]:
    if model.classes:
        return {"label": model.classes[row.index(max(row))], "probabilities": row}
    return {"value": row if len(row) > 1 else row[0]}
