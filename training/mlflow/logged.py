"""A model that was logged to MLflow: its file, signature, input example, run and commit. Nothing of it is run."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from models.artifact import read_file
from training.errors import TrainingError
from training.mlflow import server

DESCRIPTION = "MLmodel"  # the file that makes a folder a model of MLflow
MAX_BYTES = 2**26
FILES = {"sklearn": "pickled_model", "lightgbm": "data", "xgboost": "data", "onnx": "data"}  # key of a flavor
COMMIT = "mlflow.source.git.commit"
KINDS = {"double": "float", "float": "float", "long": "int", "integer": "int", "boolean": "bool"}


@dataclass(frozen=True)
class Logged:
    """A model's file, the CSV and JSON that `register` learns its features from, and where it comes from."""

    file: Path
    sample: Path | None
    features: Path | None
    version_id: str | None
    origin: dict[str, str]  # for the manifest


def is_logged(path: str) -> bool:
    """Return whether `path` is a URI of MLflow, or a folder with its models."""
    return path.startswith(server.SCHEMES) or bool(_folders(Path(path)))


@contextmanager
def opened(path: str) -> Iterator[Logged]:
    """Yield the model at a URI of MLflow, in the folder of a model or in that of a run; raise TrainingError."""
    with TemporaryDirectory() as temporary:
        folders, origin, version_id = [Path(path)], {"source": "MLflow"}, None
        if path.startswith(server.SCHEMES):
            downloaded = server.download(path, Path(temporary, "model"))
            version_id = downloaded.pop("version_id", None)
            folders = _folders(Path(downloaded.pop("folder")))
            origin |= {"uri": path, **downloaded}
        else:
            folders = _folders(Path(path))
        if len(folders) != 1:
            names = ", ".join(f"'{folder}'" for folder in folders[:5]) or "none"
            raise TrainingError(f"'{path}' holds {len(folders)} models of MLflow: {names}. Give the folder of one.")
        yield _read(folders[0], Path(temporary), origin, version_id)


def _folders(path: Path) -> list[Path]:
    """Return the folders of the models in a model's folder, or in a run's as MLflow 2 and MLflow 3 lay it out."""
    if (path / DESCRIPTION).is_file():
        return [path]
    outputs = [path.parent / "models" / output.name / "artifacts" for output in path.glob("outputs/*")]
    candidates = [path / "artifacts", *path.glob("artifacts/*"), *outputs]
    return sorted(folder for folder in candidates if (folder / DESCRIPTION).is_file())


def _read(folder: Path, temporary: Path, origin: dict[str, str], version_id: str | None) -> Logged:
    description = _description(folder)
    run_id = str(description.get("run_id") or "")
    commit = origin.get("git_commit") or _commit(folder, run_id)
    facts = {"run_id": run_id, "git_commit": commit, "mlflow": description.get("mlflow_version")}
    return Logged(
        file=_model_file(folder, description),
        sample=_sample(folder, description, temporary / "sample.csv"),
        features=_features(description, temporary / "features.json"),
        version_id=version_id,
        origin=origin | {key: str(value)[:200] for key, value in facts.items() if value},
    )


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = yaml.safe_load(read_file(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise TrainingError(f"'{path}' cannot be read: {' '.join(str(error).split())[:200]}.") from None
    if not isinstance(description, dict) or not isinstance(description.get("flavors"), dict):
        raise TrainingError(f"'{path}' is not a description of MLflow: it names no flavors.")
    return description


def _model_file(folder: Path, description: dict[str, Any]) -> Path:
    """Return the model's file, which lies in `folder`; raise TrainingError."""
    flavors = description["flavors"]
    names = [flavors[flavor].get(key) for flavor, key in FILES.items() if isinstance(flavors.get(flavor), dict)]
    if not names:
        raise TrainingError(
            f"'{folder}' has MLflow's flavors {', '.join(map(str, flavors))[:200]}; {', '.join(FILES)} are read. "
            "Save it as ONNX with its own tools, and register that."
        )
    file = folder / str(names[0])
    if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
        raise TrainingError(f"'{folder}' names its model {str(names[0])[:200]!r}, which is no file in it.")
    return file


def _sample(folder: Path, description: dict[str, Any], path: Path) -> Path | None:
    """Write the input example as a CSV, and return its path; None without one."""
    example = description.get("saved_input_example_info")
    name = example.get("artifact_path") if isinstance(example, dict) else None
    if not name:
        return None
    file = folder / str(name)
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ValueError("it lies outside of the folder")
        header, rows = _table(json.loads(read_file(file, MAX_BYTES)))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise TrainingError(f"The input example '{file}' is not read ({reason}). Give rows by --sample.") from None
    with path.open("w", newline="") as csv_file:
        csv.writer(csv_file).writerows([header, *rows])
    return path


def _table(example: Any) -> tuple[list[str], list[list[Any]]]:
    """Return names and rows of an input example: a frame in pandas' form "split", or an array."""
    if "columns" in example:
        return [str(name) for name in example["columns"]], [list(row) for row in example["data"]]
    rows = [list(row) for row in (example["inputs"] if isinstance(example, dict) else example)]
    return [f"x{number}" for number in range(len(rows[0]))], rows


def _features(description: dict[str, Any], path: Path) -> Path | None:
    """Write the kinds of the signature's columns as JSON, and return its path; None without any.

    Texts are left to what the model's encoders know.
    """
    signature = description.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    try:
        columns = json.loads(inputs or "[]")
        features = [
            {"name": column["name"], "kind": KINDS[column["type"]]} for column in columns if column.get("type") in KINDS
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TrainingError("The signature in the MLmodel is not read. Describe the rows by --features.") from None
    if not features or not all("name" in column for column in columns):
        return None
    path.write_text(json.dumps(features))
    return path


def _commit(folder: Path, run_id: str) -> str | None:
    """Return the commit that a run's folder tells, near which its model's folder lies."""
    if not run_id.isalnum():
        return None
    for parent in folder.resolve().parents:
        for run in (parent, parent / run_id):
            if run.name == run_id and (run / "tags" / COMMIT).is_file():
                return read_file(run / "tags" / COMMIT, 200).decode(errors="replace")
    return None
