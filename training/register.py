"""Publishes a model that was trained elsewhere: writes its manifest, and copies it if it is outside the registry."""

import shutil
from pathlib import Path

from apps.classifier.artifact.content import max_bytes
from models import folder, publishing
from models.artifact import SUFFIX, artifact_id, read_file
from models.manifest import Manifest, split_id
from training.errors import TrainingError
from training.progress import step


def register(path: str, models_dir: Path, version_id: str | None, *, force: bool = False) -> Manifest:
    """Publish the forest (.joblib) or model folder at `path` as `version_id`; by default its file name is the id.

    Raises TrainingError if the services cannot serve it exactly, RegistryError if the version exists.
    """
    model = Path(path)
    if not model.is_dir() and not (model.is_file() and model.name.endswith(SUFFIX)):
        raise TrainingError(f"'{model}' is neither a {SUFFIX} file nor a folder. Give the path of a model.")
    version_id = version_id or artifact_id(model.resolve())
    split_id(version_id)
    artifact = models_dir / (version_id if model.is_dir() else version_id + SUFFIX)
    in_place = artifact.resolve() == model.resolve()
    if not in_place:
        publishing.require_free(artifact, force=force)
    content = None if model.is_dir() else _content(model)
    with step(f"reading {model}"):
        description = _describe_folder(model) if content is None else _describe_forest(model, content)
    description |= {"data": {"source": "trained elsewhere"}}
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


def _describe_forest(path: Path, content: bytes) -> dict[str, object]:
    from training.classifier import foreign

    return foreign.describe_file(path, content)


def _describe_folder(path: Path) -> dict[str, object]:
    from training.lm.describe import describe

    folder.check(path)
    return {**describe(path)}
