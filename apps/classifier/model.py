"""The model that is served: a verified file that answers the probes of its manifest, a forest's exactly."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.classifier import engines
from apps.classifier.artifact.content import UnreadableError, max_bytes
from apps.classifier.artifact.loading import ForestError, load
from apps.classifier.evaluator import Evaluator, RowError
from apps.classifier.table import Table
from apps.serving.identity import Identity, LoadError
from apps.serving.runtime import Work
from models import features, registry
from models.manifest import Manifest

LOG = logging.getLogger("classifier")
PIXELS, TABLE = "pixels", "table"  # the kinds of `input` in the manifest
IMAGE_PIXELS = 784
ROOT = Path("/models")
TOP = 3
SCALES = (1, 255)  # of features: 0 to 1, or 0 to 255


@dataclass(frozen=True)
class Classifier:
    """A model, its identity, and what its rows are: a table, or None for pixels from 0 to 1."""

    forest: Evaluator
    identity: Identity
    table: Table | None = None
    example: Any = None  # a row as clients send it: the manifest's first probe

    def answers(self, rows: np.ndarray, work: Work | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return finite float64 (n, outputs) for `rows` (n, n_features), and the places of the predicted classes (n,).

        Raises RowError, and ClientGone soon after `work` is cancelled.
        """
        results, predicted = self.forest.answers(rows, work)
        finite = np.isfinite(results).all(axis=1)
        if not finite.all():
            raise RowError(int(finite.argmin()), "answers it by what is no finite number")
        return results, predicted

    def predict(self, rows: np.ndarray, work: Work | None = None) -> list[dict[str, Any]]:
        """Return the answer to each row of `rows` (n, n_features), as `describe` does. Raises as `answers` does."""
        return self.describe(*self.answers(rows, work))

    def describe(self, results: np.ndarray, predicted: np.ndarray) -> list[dict[str, Any]]:
        """Return the answer to each row from what `answers` returns.

        It is the predicted label, its probability and the top three, where of equally probable classes the first ranks
        higher, as in argmax. A regressor's is its value, or the list of its outputs' values.
        """
        if not self.forest.classes:
            return [{"value": values if len(values) > 1 else values[0]} for values in results.tolist()]
        best = np.argsort(-results, axis=1, kind="stable")[:, :TOP]
        rows_of_results = zip(results.tolist(), predicted.tolist(), best.tolist(), strict=True)
        return [self._answer(*row) for row in rows_of_results]

    def _answer(self, probabilities: list[float], predicted: int, order: list[int]) -> dict[str, Any]:
        first, *top = [{"label": self.forest.classes[i], "probability": probabilities[i]} for i in (predicted, *order)]
        return {**first, "top": top}


def open_classifier(model_path: str, *, version: str = "", sha256: str = "") -> Classifier:
    """Verify the artifact at `model_path`, load it and check its answers to the manifest's probes.

    Raises RegistryError or LoadError with one line: the value, the rule and the remedy.
    """
    path = locate(model_path)
    manifest = registry.expect(path, version=version, sha256=sha256)
    engines.require(manifest.engine, path)
    content = registry.verified_content(path, manifest, max_bytes())
    try:
        model = load(path, content) if manifest.engine == engines.FOREST else _onnx(path, manifest, content)
    except ForestError as error:
        raise LoadError(str(error)) from None
    identity = Identity(manifest.name, manifest.version, manifest.sha256, manifest.engine)
    LOG.info("verified", extra={"model": identity.summary, "path": str(path)})
    classifier = Classifier(model, identity, _table(path, manifest, model))
    _check_probes(classifier, path, manifest)
    return replace(classifier, example=manifest.probes[0]["features"])


def scaled(features: np.ndarray, scale: int) -> np.ndarray:
    """Return float64 `features` / `scale` as float32; for whole pixels this is exactly float32(pixel) / 255.

    (The quotient of two float32 numbers is the same whether it is rounded once, or to float64 first.)
    """
    return (features / scale).astype(np.float32)


def locate(model_path: str) -> Path:
    """Return `model_path` if it is absolute or exists, and otherwise the path of that name under /models."""
    path = Path(model_path)
    return path if path.is_absolute() or path.exists() else ROOT / path


def _onnx(path: Path, manifest: Manifest, content: bytes) -> Evaluator:
    from apps.classifier.onnx.model import OnnxModel  # in images that have the engine

    shape = manifest.input.get("shape")
    is_table = manifest.input.get("kind") == TABLE and isinstance(shape, list) and len(shape) == 1
    described = _described(path, manifest) if is_table else None
    try:
        return OnnxModel(content, described, [str(name) for name in manifest.classes])
    except UnreadableError as error:
        raise LoadError(f"{str(path)!r} is not served: {error}.") from None


def _table(path: Path, manifest: Manifest, forest: Evaluator) -> Table | None:
    """Return what the manifest says of the rows; None for pixels."""
    shape, layout = manifest.input.get("shape"), manifest.input.get("kind")
    if shape != [forest.n_features]:
        says = f"its manifest says {str(shape)[:80]}"
        raise LoadError(f"{str(path)!r} takes {forest.n_features} features, and {says}. {_remedy(path)}")
    if layout is None and not _are_pixels(manifest):  # from before tables
        return Table([features.Feature(name=f"x{number}") for number in range(forest.n_features)])
    if layout in (None, PIXELS) and forest.classes:
        return None
    dtype = np.float64 if manifest.engine == engines.ONNX else np.float32
    return Table(_described(path, manifest), dtype, forest.outputs)


def _are_pixels(manifest: Manifest) -> bool:
    """Return whether a manifest from before tables is of images, as training wrote it, or of MNIST's size."""
    scaled_probes = any("scale" in probe for probe in manifest.probes if isinstance(probe, dict))
    return scaled_probes or manifest.input["shape"] == [IMAGE_PIXELS]


def _described(path: Path, manifest: Manifest) -> tuple[features.Feature, ...]:
    """Return the features in the manifest's input; raise LoadError where it is malformed."""
    layout, (count,) = manifest.input.get("kind"), manifest.input["shape"]
    try:
        described = features.parse(manifest.input.get("features"))
        if layout != TABLE or len(described) != count:
            raise ValueError(f"{str(layout)[:80]!r} of {len(described)} features; {TABLE!r} of {count} is needed")
    except ValueError as error:
        raise LoadError(f"The input in the manifest of {str(path)!r} is malformed: {error}. {_remedy(path)}") from None
    return described


def _remedy(path: Path) -> str:
    return f"Publish it again, or: python -m training register --force {path}"


def _check_probes(classifier: Classifier, path: Path, manifest: Manifest) -> None:
    if not manifest.probes:
        raise LoadError(f"The manifest of {str(path)!r} has no probes to check the answers by. {_remedy(path)}")
    for number, probe in enumerate(manifest.probes):
        try:
            row = probe_row(probe, classifier.table)
            results, predicted = classifier.answers(row)
            (actual,) = classifier.describe(results, predicted)
            if classifier.forest.classes:
                actual = {"label": actual["label"], "probabilities": results[0].tolist()}
            differing = [
                key for key, value in actual.items() if not _agree(probe[key], value, probe.get("tolerance", 0))
            ]
        except RowError as error:
            rule = f"does not answer probe {number} of its manifest: the model {error}"
            raise LoadError(f"{str(path)!r} {rule}. {_remedy(path)}") from None
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise LoadError(f"Probe {number} in the manifest of {str(path)!r} is malformed. {_remedy(path)}") from None
        if differing:
            raise LoadError(
                f"{str(path)!r} does not answer probe {number} of its manifest as the published model did: "
                f"another {' and another '.join(differing)}. {_remedy(path)}"
            )
    LOG.info("probes answered as published", extra={"probes": len(manifest.probes)})


def _agree(expected: Any, actual: Any, tolerance: float) -> bool:
    """Return whether a label, number or list of numbers is as expected; `tolerance` is relative above 1."""
    if isinstance(actual, list):
        return len(expected) == len(actual) and all(
            _agree(one, other, tolerance) for one, other in zip(expected, actual, strict=True)
        )
    if isinstance(actual, str) or not tolerance:
        return bool(expected == actual)
    return math.isclose(expected, actual, rel_tol=tolerance, abs_tol=tolerance)


def probe_row(probe: dict[str, Any], table: Table | None) -> np.ndarray:
    """Return (1, n_features) of a probe; raise ValueError, KeyError or TypeError where it is malformed."""
    if table is None:
        return scaled(np.array([probe["features"]], np.float64), probe.get("scale", 1))
    return table.rows([((), probe["features"])])
