"""`ci/bench serving`: the classifier and other servers of the digits' forest."""

import json
from pathlib import Path

from ci.benchmarks.classifiers import MEASURES, ClassifierServer, Model, measure, servers, tensor
from ci.benchmarks.contender import trained_model

__all__ = ["MEASURES", "contenders", "measure"]


def contenders(folder: Path) -> list[ClassifierServer]:
    """Return all servers, ours first. Contenders read and write files in `folder`. Raises Failed without a model."""
    train = "python -m training classifier"
    path = trained_model("mnist_rf_v1.joblib", train)
    manifest = json.loads(trained_model("mnist_rf_v1.json", train).read_text())
    probes = manifest["probes"]
    images = [[pixel / probe.get("scale", 1) for pixel in probe["features"]] for probe in probes]
    labels = [probe["label"] for probe in probes]
    model = Model(ours=path, original=path, rows=images, labels=labels, classes=manifest["classes"], inputs=tensor)
    return servers(model, folder)
