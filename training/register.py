"""Publishes a model that was trained elsewhere: writes its manifest, and copies it if it is outside the registry."""

import re
import shutil
from pathlib import Path
from typing import Any

from apps.classifier.artifact.content import UnreadableError, max_bytes
from models import folder, publishing
from models.artifact import ONNX_SUFFIX, SUFFIX, artifact_id, read_file
from models.manifest import Manifest, split_id
from training.errors import TrainingError
from training.mlflow import logged
from training.progress import say, step

INERT_SUFFIXES = (".skops", ".ubj")  # of models that are read without running them: skops, XGBoost's own
CONVERT = (
    "A model that is no forest is converted to ONNX, which runs its file: if you trust it, add --sample rows.csv "
    "--trust-pickle."
)
ENDINGS = re.compile(
    r"(\.(onnx|joblib|pkl|pickle|skops|ubj))?(\.(gz|z|bz2|xz|lzma))?$", re.IGNORECASE
)  # of users' files


def register(
    path: str,
    models_dir: Path,
    version_id: str | None,
    *,
    sample: Path | None = None,
    features: Path | None = None,
    classes: tuple[str, ...] | None = None,
    trust_pickle: bool = False,
    force: bool = False,
) -> Manifest:
    """Publish the forest (.joblib or pickle), .onnx file or model folder at `path`; its file name is the default id.

    With `trust_pickle` any other fitted model is converted to ONNX, which runs its file. `sample`, a CSV, and
    `features`, JSON, tell of the rows; `classes` name what an .onnx file answers probabilities of. A model of MLflow,
    by its URI or its folder, brings these, its run and its commit. Raises TrainingError if the services cannot serve it
    as its original answers, RegistryError if the version exists.
    """
    options: dict[str, Any] = {"classes": classes, "trust_pickle": trust_pickle, "force": force}
    if not logged.is_logged(path):
        return _register(
            Path(path), models_dir, version_id, sample, features, {"source": "trained elsewhere"}, **options
        )
    with logged.opened(path) as model:
        if not (version_id := version_id or model.version_id):
            raise TrainingError(f"'{path}' names no version. Add --version-id NAME_v1.")
        files = sample or model.sample, features or model.features
        try:
            return _register(model.file, models_dir, version_id, *files, model.origin, **options)
        except TrainingError as error:  # which names a file that may be temporary
            raise TrainingError(str(error).replace(str(model.file), path)) from None


def _register(
    model: Path,
    models_dir: Path,
    version_id: str | None,
    sample: Path | None,
    features: Path | None,
    origin: dict[str, str],
    *,
    classes: tuple[str, ...] | None,
    trust_pickle: bool,
    force: bool,
) -> Manifest:
    if not model.is_dir() and not model.is_file():
        raise TrainingError(f"'{model}' is neither a file nor a folder. Give the path of a model.")
    if model.is_dir() and (sample or features):
        raise TrainingError(
            f"--sample and --features are for models of tables, and '{model}' is a folder. Leave them out."
        )
    if classes and (model.is_dir() or model.suffix != ONNX_SUFFIX):
        raise TrainingError(f"--classes is for .onnx files, and '{model}' is none. Leave it out.")
    version_id = version_id or ENDINGS.sub("", artifact_id(model.resolve()))
    split_id(version_id)
    content = None if model.is_dir() else _content(model)
    converts = content is not None and _converts(model, content, trust_pickle)
    suffix = "" if content is None else ONNX_SUFFIX if converts or model.suffix == ONNX_SUFFIX else SUFFIX
    artifact = models_dir / (version_id + suffix)
    in_place = artifact.resolve() == model.resolve()
    if not in_place:
        publishing.require_free(artifact, force=force)
    if converts:
        return _convert(model, artifact, sample, features, trust_pickle, origin, force)
    with step(f"reading {model}"):
        description = (
            _describe_folder(model) if content is None else _describe_file(model, content, sample, features, classes)
        )
    description["data"] = origin
    with step(f"publishing {artifact}"):
        if in_place:
            return publishing.describe(artifact, force=force, **description)
        with publishing.staging(models_dir) as staging:
            staged = staging / artifact.name
            if content is None:
                shutil.copytree(model, staged)
            else:
                staged.write_bytes(content)
            return publishing.publish(staged, artifact, force=force, **description)


def _content(path: Path) -> bytes:
    try:
        return read_file(path, max_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"'{path}' cannot be read: {error}.") from error


def _is_forest(content: bytes) -> bool:
    from apps.classifier.artifact import unpickle
    from apps.classifier.artifact.inert import FORESTS

    try:
        return unpickle.read(content).name in FORESTS
    except UnreadableError:
        return False


def _converts(path: Path, content: bytes, trust_pickle: bool) -> bool:
    """Return whether a file is converted to ONNX: no forest, and of a format without code or trusted."""
    if path.suffix in INERT_SUFFIXES:
        return True
    return trust_pickle and path.suffix != ONNX_SUFFIX and not _is_forest(content)


def _convert(
    path: Path,
    artifact: Path,
    sample: Path | None,
    features: Path | None,
    trust_pickle: bool,
    origin: dict[str, str],
    force: bool,
) -> Manifest:
    from training.classifier.onnx import environment

    if sample is None:
        raise TrainingError(
            "--sample is missing. A conversion is compared with the original on rows: give a CSV of some."
        )
    if path.suffix not in INERT_SUFFIXES:
        say(f"'{path}' is unpickled, which runs it, as --trust-pickle allows")
    with publishing.staging(artifact.parent) as staging:
        staged = staging / artifact.name
        with step(f"converting {path} to ONNX and comparing it with the original"):
            description: dict[str, Any] = environment.describe(path, staged, sample, features, trust_pickle)
        with step(f"publishing {artifact}"):
            return publishing.publish(staged, artifact, force=force, **description, data=origin)


def _describe_file(
    path: Path, content: bytes, sample: Path | None, features: Path | None, classes: tuple[str, ...] | None
) -> dict[str, object]:
    from training.classifier import foreign
    from training.classifier.onnx import environment

    if path.suffix == ONNX_SUFFIX:
        return environment.describe(path, None, sample, features, classes=classes)
    if not _is_forest(content):
        try:
            foreign.describe_file(path, content, sample, features)
        except TrainingError as error:
            raise TrainingError(f"{error} {CONVERT}") from None
    return foreign.describe_file(path, content, sample, features)


def _describe_folder(path: Path) -> dict[str, object]:
    from training.lm.describe import describe

    folder.check(path)
    return {**describe(path)}
