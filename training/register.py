"""Describes a model that was trained elsewhere, and copies it into the registry if it is not there."""

import shutil
from pathlib import Path

import numpy as np

from apps.classifier.artifact import unpickle
from apps.classifier.artifact.content import max_bytes
from apps.classifier.forest import Forest
from models import folder, publishing
from models.artifact import SUFFIX, artifact_id, read_file
from models.manifest import Manifest, split_id
from training import parity, sklearn_forest
from training.classifier import describe
from training.errors import TrainingError
from training.progress import step

SEED = 0
ROWS, PROBES = 1000, 10


def register(path: str, models_dir: Path, version_id: str | None, *, force: bool = False) -> Manifest:
    """Describe the forest or model folder at `path` as `version_id`, by default the name that it has."""
    given = Path(path)
    if not given.is_dir() and not (given.is_file() and given.name.endswith(SUFFIX)):
        raise TrainingError(f"'{given}' is neither a {SUFFIX} file nor a folder. Give the path of a model.")
    version_id = version_id or artifact_id(given.resolve())
    split_id(version_id)
    artifact = models_dir / (version_id if given.is_dir() else version_id + SUFFIX)
    in_place = artifact.resolve() == given.resolve()
    if not in_place:
        publishing.require_free(artifact, force=force)
    content = None if given.is_dir() else _content(given)
    with step(f"reading {given}"):
        about = _folder(given) if content is None else forest(given, content)
    with step(f"publishing {artifact}"):
        if in_place:
            return publishing.describe(artifact, force=force, **about)
        with publishing.staging(models_dir) as staging:
            staged = staging / artifact.name
            shutil.copytree(given, staged) if content is None else staged.write_bytes(content)
            return publishing.publish(staged, artifact, force=force, **about)


def forest(path: Path, content: bytes) -> dict:
    """Return what a manifest says of a scikit-learn forest; refuse one that the services would not serve."""
    flat = parity.read(path, content)
    _require_unit_range(flat, path)
    fitted = sklearn_forest.build(unpickle.read(content), flat)
    rows = near_thresholds(flat)
    probabilities = fitted.predict_proba(rows)
    parity.require(flat, rows, probabilities)
    probes = [
        {"features": row.tolist(), "label": flat.classes[answer.argmax()], "probabilities": answer.tolist()}
        for row, answer in zip(rows[:PROBES], probabilities, strict=False)
    ]
    return describe(fitted) | {"data": {"source": "trained elsewhere"}, "probes": probes}


def _content(path: Path) -> bytes:
    try:
        return read_file(path, max_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"'{path}' cannot be read: {error}.") from error


def near_thresholds(flat: Forest) -> np.ndarray:
    """Return float32 (1000, n_features): each value is one of the thresholds that it is compared with.

    This is where a comparison in the wrong precision shows.
    """
    random, rows = np.random.default_rng(SEED), np.zeros((ROWS, flat.n_features), np.float32)
    inner = np.isfinite(flat.threshold)
    for feature in np.unique(flat.feature[inner]):
        rows[:, feature] = random.choice(flat.threshold[inner & (flat.feature == feature)], ROWS)
    return rows


def _require_unit_range(flat: Forest, path: Path) -> None:
    thresholds = flat.threshold[np.isfinite(flat.threshold)]
    if thresholds.size and not 0 <= thresholds.min() <= thresholds.max() <= 1:
        raise TrainingError(
            f"'{path}' was trained on values outside 0 to 1: its thresholds go from {thresholds.min():g} to "
            f"{thresholds.max():g}, and the service takes 0 to 1. Train it on values divided by their range."
        )


def _folder(path: Path) -> dict:
    from training.lm import describe as describe_folder

    folder.check(path)
    return describe_folder(path) | {"data": {"source": "trained elsewhere"}}
