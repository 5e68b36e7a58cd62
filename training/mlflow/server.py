"""Downloads a model from a tracking server of MLflow, in an environment of its own."""

import json
import os
from pathlib import Path
from typing import Any

from training import environments
from training.errors import TrainingError
from training.progress import step

SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


def download(uri: str, folder: Path) -> dict[str, Any]:
    """Download the model at `uri` into `folder`; return what the server tells of it.

    The keys are the `folder` of the model, and version_id, run_id and git_commit, where they are known. Raises
    TrainingError.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI", "").strip():
        raise TrainingError(f"'{uri}' lies on a server of MLflow: set MLFLOW_TRACKING_URI to its address.")
    python = environments.ready("mlflow") / "python"
    with step(f"downloading {uri}"):
        output = environments.run([python, "-m", "training.mlflow.downloading", uri, folder])
        told: dict[str, Any] = json.loads(output.splitlines()[-1])
        if "error" in told:
            raise TrainingError(f"'{uri}' is not downloaded: {told['error']}.")
    return told
