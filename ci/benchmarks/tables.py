"""`ci/bench pipeline` and `ci/bench lightgbm`: the classifier and other servers of a model of 20 columns."""

import json
import sys
from pathlib import Path

from ci.benchmarks.classifiers import MEASURES, ClassifierServer, Model, fastapi, measure, servers, tensor
from ci.benchmarks.contender import PEERS
from ci.benchmarks.environments import pinned
from ci.cache import CHECKOUT
from ci.run import run

__all__ = ["MEASURES", "contenders", "measure"]

DATATYPES = {float: "FP64", int: "INT64", bool: "BOOL", str: "BYTES"}
LIBRARIES = ("pandas", "lightgbm")  # of both models, so that they share the environments


def contenders(folder: Path, name: str) -> list[ClassifierServer]:
    """Return all servers of the model `name` of peers/models.py, which is trained and registered in `folder`."""
    libraries = tuple(pinned(library, "export-onnx") for library in LIBRARIES)
    trainer = fastapi(libraries)
    trainer.install()
    run([trainer.python, PEERS / "models.py", name, folder])
    original, sample = folder / "original.joblib", folder / "rows.csv"
    words = ["register", original, "--sample", sample, "--trust-pickle", "--version-id", "table_v1"]
    run([sys.executable, "-m", "training", *words, "--models-dir", folder / "models"], cwd=CHECKOUT)
    requests = json.loads((folder / "requests.json").read_text())
    by_name = isinstance(requests["rows"][0], dict)
    model = Model(
        ours=folder / "models/table_v1.onnx",
        extra="classifier-onnx",
        original=original,
        libraries=libraries,
        **requests,
        **({"peers": "_frame", "batch": _records, "inputs": _columns} if by_name else {"inputs": tensor}),
    )
    return servers(model, folder)


def _records(row: object) -> object:
    return {"rows": [row]}


def _columns(row: object) -> object:
    """Return a request of the Open Inference Protocol with a tensor a column, which MLServer makes a frame of."""
    assert isinstance(row, dict)
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": DATATYPES[type(value)], "data": [value]}
        | ({"parameters": {"content_type": "str"}} if isinstance(value, str) else {})
        for name, value in row.items()
    ]
    return {"inputs": inputs, "parameters": {"content_type": "pd"}, "outputs": [{"name": "predict_proba"}]}
