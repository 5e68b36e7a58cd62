"""The classifier beside four other ways to serve the same forest, each as its documentation shows it."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ci.benchmarks import load, process
from ci.benchmarks.contender import Contender, closed, free_port, measure
from ci.benchmarks.environments import Environment
from ci.benchmarks.load import Request, Target, post
from ci.benchmarks.process import Server
from ci.benchmarks.report import Measure, Row
from ci.cache import CHECKOUT
from ci.run import Failed

MODEL = CHECKOUT / "models" / "mnist_rf_v1.joblib"
PEERS = Path(__file__).parent / "peers"
SKLEARN = "scikit-learn==1.9.1"  # as trained: a pickle of a forest belongs to one version
CONNECTIONS, CPU_AT = (1, 8, 64), 8
SHARES = (50, 90)  # percent of a contender's own greatest rate
WARM_SECONDS, SECONDS = 1.0, 6.0
MEASURES = (
    *(Measure(f"closed_{n}_rate", f"{n} connections, rate", "1/s", more_is_better=True) for n in CONNECTIONS),
    *(Measure(f"closed_{n}_p{p}", f"{n} connections, p{p}", "ms") for n in CONNECTIONS for p in (50, 99)),
    *(Measure(f"open_{share}_p{p}", f"{share}% of its own maximum, p{p}", "ms") for share in SHARES for p in (50, 99)),
    Measure("cpu_milliseconds", "CPU a request", "ms"),
    Measure("memory_megabytes", "memory after load (PSS)", "MB"),
    Measure("cold_start_seconds", "start to first answer", "s"),
    Measure("environment_megabytes", "virtual environment", "MB"),
    Measure("idle_cpu_percent", "idle CPU", "% of a core"),
)


def contenders(folder: Path) -> list[Contender]:
    """Ours first. `folder` takes the files that a contender reads. Raises Failed where there is no model."""
    manifest = MODEL.with_suffix(".json")
    if not manifest.exists():
        raise Failed(f"{MODEL} is not there", "Train it: ci/up does, or python -m training classifier (see README).")
    about = json.loads(manifest.read_text())
    ask = _Questions(about["probes"], about["classes"])
    model, fastapi, bento = {"MODEL_PATH": str(MODEL)}, str(PEERS / "plain.py"), "bento:Digits"
    as_features = ask.each("/predict", lambda image: {"features": image}, lambda answer: answer["label"])
    as_array = ask.each("/predict", lambda image: {"features": [image]}, lambda answer: ask.best(answer[0]))
    as_tensor = ask.each("/v2/models/digits/infer", _tensor, lambda answer: ask.best(answer["outputs"][0]["data"]))
    _write_mlserver(folder)
    return [
        Contender(
            "ours",
            Environment("ours", ("inference-service[classifier]",)),
            ("python", "-m", "apps.classifier", "--port", "{port}"),
            as_features,
            model,
        ),
        Contender(
            "FastAPI + scikit-learn",
            Environment("fastapi", ("fastapi[standard]==0.165.0", SKLEARN)),
            ("fastapi", "run", fastapi, "--host", "127.0.0.1", "--port", "{port}"),
            as_features,
            model,
        ),
        Contender(
            "LitServe",
            Environment("litserve", ("litserve==0.2.19", SKLEARN)),
            ("python", "lit.py"),
            as_features,
            model | {"PORT": "{port}"},
            PEERS,
        ),
        Contender(
            "BentoML",
            Environment("bentoml", ("bentoml==1.4.39", SKLEARN)),
            ("bentoml", "serve", bento, "--host", "127.0.0.1", "--port", "{port}"),
            as_array,
            model | {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"},
            PEERS,
        ),
        Contender(
            "MLServer",
            # uvloop: with a later one than it was released with, its workers do not start.
            Environment("mlserver", ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", SKLEARN)),
            ("mlserver", "start", str(folder)),
            as_tensor,
            {
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_HTTP_PORT": "{port}",
                "MLSERVER_METRICS_PORT": str(free_port()),
                "MLSERVER_GRPC_PORT": str(free_port()),
            },
            folder,  # where it leaves files of its metrics
        ),
    ]


def measured(contender: Contender) -> Row:
    """All figures of a contender, on a core of its own."""
    with process.cores() as core:
        return measure(contender, core, phases)


def phases(target: Target, server: Server) -> tuple[dict[str, float], Counter[str]]:
    """Load it in every way; return the figures and what failed."""
    figures, failures = {}, Counter()
    closed(target, server, CPU_AT, WARM_SECONDS)
    for connections in CONNECTIONS:
        measured, cpu = closed(target, server, connections, SECONDS)
        figures[f"closed_{connections}_rate"] = measured.rate
        figures |= _percentiles(f"closed_{connections}", measured)
        failures += measured.failures
        if connections == CPU_AT:
            figures["cpu_milliseconds"] = 1000 * cpu
    greatest = max(figures[f"closed_{connections}_rate"] for connections in CONNECTIONS)
    for share in SHARES:
        measured = asyncio.run(load.open_loop(target, greatest * share / 100, SECONDS))
        figures |= _percentiles(f"open_{share}", measured)
        failures += measured.failures
    return figures, failures


class _Questions:
    """The manifest's probes as requests in the way of each contender."""

    def __init__(self, probes: list[dict], classes: list[str]) -> None:
        self.classes = classes
        self.images = [[pixel / probe.get("scale", 1) for pixel in probe["features"]] for probe in probes]
        self.labels = [probe["label"] for probe in probes]

    def each(self, path: str, content: Callable[[list], Any], label: Callable[[Any], str]) -> list[Request]:
        """A request for each probe, right when `label` of the answer's JSON is the probe's."""
        return [
            Request(post(path, content(image)), lambda body, expected=expected: label(json.loads(body)) == expected)
            for image, expected in zip(self.images, self.labels, strict=True)
        ]

    def best(self, probabilities: list[float]) -> str:
        return self.classes[probabilities.index(max(probabilities))]


def _tensor(image: list[float]) -> dict:
    tensor = {"name": "features", "shape": [1, len(image)], "datatype": "FP32", "data": image}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _write_mlserver(folder: Path) -> None:
    model = {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(MODEL)}}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _percentiles(prefix: str, measured: load.Measured) -> dict[str, float]:
    return {f"{prefix}_p{percent}": 1000 * measured.percentile(percent) for percent in (50, 99)}
