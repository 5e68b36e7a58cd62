"""The model that is served: a verified forest that answers the probes of its manifest exactly."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.classifier.artifact.content import max_bytes
from apps.classifier.artifact.loading import ForestError, load
from apps.classifier.forest import Forest
from apps.serving.identity import Identity, LoadError
from models import registry
from models.manifest import Manifest

LOG = logging.getLogger("classifier")
ENGINE = "sklearn-forest"
ROOT = Path("/models")
TOP = 3
SCALES = (1, 255)  # of features: 0 to 1, or 0 to 255
BRIEF_ROWS = 4  # take less time to evaluate than to hand to a thread


@dataclass(frozen=True)
class Classifier:
    """A forest and its identity."""

    forest: Forest
    identity: Identity

    def predict(self, rows: np.ndarray) -> list[dict[str, Any]]:
        """Return label, probability and top three of each row of float32 (n, n_features) from 0 to 1.

        Of equally probable classes the first ranks higher, as in argmax.
        """
        probabilities = self.forest.evaluate(rows)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        return [self._answer(*row) for row in zip(probabilities.tolist(), best.tolist(), strict=True)]

    def _answer(self, probabilities: list[float], order: list[int]) -> dict[str, Any]:
        top = [{"label": self.forest.classes[i], "probability": probabilities[i]} for i in order]
        return {**top[0], "top": top}


def open_classifier(model_path: str, *, version: str = "", sha256: str = "") -> Classifier:
    """Verify the artifact at `model_path`, load it and check its answers to the manifest's probes.

    Raises RegistryError or LoadError with one line: the value, the rule and the remedy.
    """
    path = locate(model_path)
    manifest = registry.expect(path, version=version, sha256=sha256)
    if manifest.engine != ENGINE:
        raise LoadError(f"{str(path)!r} is for the engine {manifest.engine!r}; this service has {ENGINE!r}.")
    try:
        forest = load(path, registry.verified_content(path, manifest, max_bytes()))
    except ForestError as error:
        raise LoadError(str(error)) from None
    identity = Identity(manifest.name, manifest.version, manifest.sha256, manifest.engine)
    LOG.info("verified", extra={"model": identity.summary, "path": str(path)})
    classifier = Classifier(forest, identity)
    _check_probes(classifier, path, manifest)
    return classifier


def scaled(features: np.ndarray, scale: int) -> np.ndarray:
    """Return float64 `features` / `scale` as float32; for whole pixels this is exactly float32(pixel) / 255.

    (The quotient of two float32 numbers is the same whether it is rounded once, or to float64 first.)
    """
    return (features / scale).astype(np.float32)


def locate(model_path: str) -> Path:
    """Return `model_path` if it is absolute or exists, and otherwise the path of that name under /models."""
    path = Path(model_path)
    return path if path.is_absolute() or path.exists() else ROOT / path


def _check_probes(classifier: Classifier, path: Path, manifest: Manifest) -> None:
    remedy = f"Publish it again, or: python -m training register --force {path}"
    shape, n_features = manifest.input.get("shape"), classifier.forest.n_features
    if shape != [n_features]:
        raise LoadError(f"{str(path)!r} takes {n_features} features, and its manifest says {str(shape)[:80]}. {remedy}")
    if not manifest.probes:
        raise LoadError(f"The manifest of {str(path)!r} has no probes to check the answers by. {remedy}")
    for number, probe in enumerate(manifest.probes):
        try:
            row = scaled(np.array([probe["features"]], np.float64), probe.get("scale", 1))
            expected = probe["label"], probe["probabilities"]
            probabilities, (answer,) = classifier.forest.evaluate(row), classifier.predict(row)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise LoadError(f"Probe {number} in the manifest of {str(path)!r} is malformed. {remedy}") from None
        if (answer["label"], probabilities[0].tolist()) != expected:
            raise LoadError(
                f"{str(path)!r} does not answer probe {number} of its manifest as scikit-learn did: "
                f"label {answer['label']!r} for {str(expected[0])[:80]!r}, or a probability that differs. {remedy}"
            )
    LOG.info("probes answered exactly", extra={"probes": len(manifest.probes)})
