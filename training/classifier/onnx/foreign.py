"""Describes an ONNX file that any framework wrote; its own answers are the probes."""

from pathlib import Path
from typing import Any

import numpy as np

from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.onnx.model import OnnxModel
from apps.classifier.table import Table
from models.artifact import read_file
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
        learnt = learn(Nameless(OnnxModel(content)), True, sample, features)
        loaded = OnnxModel(content, learnt)
        requests = sampling.requests(learnt, sample)[:PROBES]
        rows = loaded.evaluate(Table(learnt, np.float64).rows([((), request) for request in requests]))
    except (UnreadableError, OSError, ValueError) as error:
        raise TrainingError(f"'{model}' is not served: {error}.") from None
    return {
        "engine": "onnx",
        "input": {
            "kind": "table", "shape": [len(learnt)], "dtype": "float64",
            "features": [feature.to_json() for feature in learnt],
        },
        "classes": list(loaded.classes),
        "libraries": versions("onnx", "onnxruntime"),
        "probes": [
            {"features": request, **_answer(loaded, row), "tolerance": agreement.BOUND}
            for request, row in zip(requests, rows.tolist(), strict=True)
        ],
    }  # fmt: skip


def _answer(model: OnnxModel, row: list[float]) -> dict[str, Any]:
    if model.classes:
        return {"label": model.classes[row.index(max(row))], "probabilities": row}
    return {"value": row if len(row) > 1 else row[0]}
