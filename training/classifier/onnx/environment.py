"""Describes a model in the environment of the conversion, so that nothing of it is imported where training runs."""

import json
from pathlib import Path
from typing import Any

from training import environments
from training.errors import TrainingError


def describe(
    model: Path,
    out: Path | None,
    sample: Path | None,
    features: Path | None,
    trusted: bool = False,
    classes: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Return the manifest's keys for `model`, which is written to `out` as ONNX, or is ONNX where that is None.

    `classes` are the names of the classes of an ONNX file that does not tell them.
    Unless `trusted`, nothing of the file is run. Raises TrainingError.
    """
    paths = {"model": model, "out": out, "sample": sample, "features": features}
    argument = json.dumps({key: path and str(path.resolve()) for key, path in paths.items()} | {"classes": classes})
    python = environments.ready("onnx") / "python"
    words = ["--trust-pickle"] if trusted else []
    output = environments.run([python, "-m", "training.classifier.onnx.converting", argument, *words])
    description: dict[str, Any] = json.loads(output.splitlines()[-1])  # a user's file may print
    if "error" in description:
        raise TrainingError(description["error"])
    return description
