"""Converts a model to ONNX in the first precision that agrees; runs in the environment of the conversion.

`python -m training.classifier.onnx.converting '{"model": PATH, "out": PATH, "sample": PATH, "features": PATH or null}'`
writes `out` and prints the manifest's keys, or `{"error": …}`. Where `out` is null, `model` is
ONNX and only described; "classes" may name its classes.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

from apps.classifier.artifact.content import UnreadableError
from apps.classifier.onnx.model import OnnxModel
from apps.classifier.table import Table
from models.features import Feature
from training.classifier.features import learn
from training.classifier.onnx import agreement, foreign, sampling, structure
from training.classifier.onnx.agreement import Difference
from training.classifier.onnx.converters import encoders, families
from training.classifier.onnx.original import Original
from training.errors import TrainingError
from training.libraries import versions

OPSETS = {"": 19, "ai.onnx.ml": 3}
PRECISIONS = {"float64": DoubleTensorType, "float32": FloatTensorType}
LIBRARIES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "xgboost-cpu", "lightgbm", "numpy")
PROBES = 10


def describe(model: Path, out: Path, sample: Path, features: Path | None, trusted: bool = True) -> dict[str, Any]:
    """Write the `model` as ONNX to `out`, and return the manifest's keys; raise TrainingError.

    Runs that file, if it is `trusted`.
    """
    original = Original(model, trusted)
    learnt = _learn(original, sample, features)
    table, requests = Table(learnt, np.float64), sampling.requests(learnt, sample)
    rows, frame = table.rows([((), request) for request in requests]), original.frame(learnt, requests)
    try:
        expected, labels = original.answers(frame), original.labels(frame)
    except Exception as error:  # of any library, for rows that it does not take
        raise TrainingError(f"The original does not answer rows of '{sample}': {_line(error)}.") from None
    content, precision, metrics = _converted(original, learnt, rows, requests, expected, labels)
    out.write_bytes(content)
    return {
        "engine": "onnx",
        "input": {
            "kind": "table", "shape": [len(learnt)], "dtype": "float64",
            "features": [feature.to_json() for feature in learnt],
        },
        "classes": list(original.classes),
        "hyperparameters": {"class": original.name, "precision": precision},
        "metrics": metrics,
        "libraries": versions(*LIBRARIES),
        "probes": _probes(original, requests[:: max(1, len(requests) // PROBES)], learnt),
    }  # fmt: skip


def _converted(
    original: Original,
    learnt: Sequence[Feature],
    rows: np.ndarray,
    requests: Sequence[Any],
    expected: np.ndarray,
    labels: Sequence[str],
) -> tuple[bytes, str, dict[str, Any]]:
    """Return ONNX in the first precision that agrees, that precision, and the metrics; raise TrainingError."""
    failures = []
    for precision, tensor in PRECISIONS.items():
        try:
            content = convert(original, learnt, tensor)
            model = OnnxModel(content, learnt, original.classes)
            measured = agreement.measure(model, rows, expected, labels)
        except UnreadableError as error:
            failures.append(f"{precision}: {error}")
        except NotImplementedError as error:  # by a converter of ours
            raise TrainingError(f"The {original.name} is not converted: {error}. Nothing is published.") from None
        except Difference as error:
            failures.append(f"{precision}: {error.text(requests)}")
        except Exception as error:  # converters raise whatever they like for what they do not know
            failures.append(f"{precision}: it is not converted ({_line(error)})")
        else:
            return content, precision, {"agreement": measured, "row_seconds": model.row_seconds}
    raise TrainingError(
        f"The {original.name} is not served exactly by ONNX. {'; '.join(failures)}. Nothing is published."
    )


def convert(original: Original, learnt: Sequence[Feature], tensor: Any) -> bytes:
    """Return the original as ONNX, whose numbers have the type `tensor`."""
    families.register()
    model = original.model
    is_double = {encoders.DOUBLE: tensor is DoubleTensorType}
    options: dict[Any, Any] = dict.fromkeys(families.FROM_TEXTS, is_double)
    if original.is_classifier:
        options[id(model)] = {"zipmap": False}
    if structure.takes_columns(model) or any(feature.has_texts for feature in learnt):
        texts = {feature.name for feature in learnt if feature.has_texts}
        names = original.columns or [feature.name for feature in learnt]
        inputs = [(name, (StringTensorType if name in texts else tensor)([None, 1])) for name in names]
    else:
        inputs = [("rows", tensor([None, len(learnt)]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = convert_sklearn(model, initial_types=inputs, options=options, target_opset=OPSETS)
    unused = {*original.columns} - {*original.feature_names}
    for (name, _), value in zip(inputs, list(converted.graph.input), strict=True):  # whose names may differ
        if name in unused:
            converted.graph.input.remove(value)
    content: bytes = converted.SerializeToString()
    return content


def _learn(original: Original, sample: Path, described: Path | None) -> tuple[Feature, ...]:
    """Return the features; raise TrainingError where a category lacks a text that the model knows."""
    learnt = learn(original, True, sample, described, original.vocabulary)
    for feature in learnt:
        texts = [value for value in original.vocabulary.get(feature.name, ()) if isinstance(value, str)]
        if lacking := [text for text in texts if text not in feature.values]:
            subject = f"The model knows {lacking[0][:80]!r} as a value of {feature.name!r}"
            raise TrainingError(f"{subject}, and '{described}' does not name it. Add it, or leave the values out.")
    return _with_unknown(original, learnt, sample)


def _with_unknown(original: Original, learnt: tuple[Feature, ...], sample: Path) -> tuple[Feature, ...]:
    """Return the features, each with whether the original answers texts that it does not know."""
    (request,) = sampling.requests(learnt, sample)[:1]
    result = []
    for place, feature in enumerate(learnt):
        changed = [*request[:place], sampling.UNKNOWN, *request[place + 1 :]]
        result.append(
            replace(feature, unknown="accepted")
            if feature.has_texts and _answers(original, learnt, changed)
            else feature
        )
    return tuple(result)


def _answers(original: Original, learnt: Sequence[Feature], request: Sequence[Any]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            original.answers(original.frame(learnt, [request]))
        except Exception:  # of any library
            return False
    return True


def _probes(original: Original, requests: Sequence[Sequence[Any]], learnt: Sequence[Feature]) -> list[dict[str, Any]]:
    frame = original.frame(learnt, requests)
    answers, labels = original.answers(frame).tolist(), original.labels(frame)
    if original.is_classifier:
        results = [{"label": label, "probabilities": row} for label, row in zip(labels, answers, strict=True)]
    else:
        results = [{"value": row if len(row) > 1 else row[0]} for row in answers]
    tolerance = {"tolerance": agreement.BOUND}
    return [{"features": [*r], **answer, **tolerance} for r, answer in zip(requests, results, strict=True)]


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def main() -> int:
    """Convert what the argument names; return the exit status."""
    argument = json.loads(sys.argv[1])
    classes = argument.pop("classes", None)
    paths = {key: value and Path(value) for key, value in argument.items()}
    out = paths.pop("out")
    try:
        trusted = sys.argv[2:] == ["--trust-pickle"]
        description = describe(out=out, trusted=trusted, **paths) if out else foreign.describe(**paths, classes=classes)
        print(json.dumps(description, allow_nan=False))
    except TrainingError as error:
        print(json.dumps({"error": str(error)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
