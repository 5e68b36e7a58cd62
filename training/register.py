"""Publishes a model that was trained elsewhere: writes its manifest, and copies it if it is outside the registry."""

import re
import shutil
from pathlib import Path
from typing import NoReturn

from apps.classifier.artifact.content import max_bytes
from models import folder, publishing
from models.artifact import SUFFIX, artifact_id, read_file
from models.manifest import Manifest, split_id
from training.errors import TrainingError
from training.progress import step

ENDINGS = re.compile(r"(\.(joblib|pkl|pickle))?(\.(gz|z|bz2|xz|lzma))?$", re.IGNORECASE)  # of users' files


def register(
    path: str,
    models_dir: Path,
    version_id: str | None,
    *,
    sample: Path | None = None,
    features: Path | None = None,
    force: bool = False,
) -> Manifest:
    """Publish the forest (a .joblib or pickle) or model folder at `path`; by default its file name is the id.

    `sample`, a CSV, and `features`, JSON, tell of the rows of a forest. Raises TrainingError if the services cannot
    serve it exactly, RegistryError if the version exists.
    """
    model = Path(path)
    if not model.is_dir() and not model.is_file():
        raise TrainingError(f"'{model}' is neither a file nor a folder. Give the path of a model.")
    if (model / "MLmodel").is_file():
        _refuse_mlflow(model)
    if model.is_dir() and (sample or features):
        raise TrainingError(f"--sample and --features are for a forest, and '{model}' is a folder. Leave them out.")
    version_id = version_id or ENDINGS.sub("", artifact_id(model.resolve()))
    split_id(version_id)
    artifact = models_dir / (version_id if model.is_dir() else version_id + SUFFIX)
    in_place = artifact.resolve() == model.resolve()
    if not in_place:
        publishing.require_free(artifact, force=force)
    content = None if model.is_dir() else _content(model)
    with step(f"reading {model}"):
        description = _describe_folder(model) if content is None else _describe_forest(model, content, sample, features)
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


def _describe_forest(path: Path, content: bytes, sample: Path | None, features: Path | None) -> dict[str, object]:
    from training.classifier import foreign

    return foreign.describe_file(path, content, sample, features)


def _refuse_mlflow(folder: Path) -> NoReturn:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".pkl", SUFFIX))
    remedy = f"python -m training register '{files[0]}' --version-id NAME_v1" if files else "give a forest's own file"
    raise TrainingError(f"'{folder}' is a folder of MLflow; its model file is registered: {remedy}.")


def _describe_folder(path: Path) -> dict[str, object]:
    from training.lm.describe import describe

    folder.check(path)
    return {**describe(path)}
