"""`ci/bench serving`: the classifier and four other servers of the same forest, each set up as in its documentation."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from ci.benchmarks import contender, load
from ci.benchmarks.contender import PEERS, Contender, free_port, trained_model
from ci.benchmarks.environments import Environment, pinned
from ci.benchmarks.load import LoadResult, Probes
from ci.benchmarks.process import Server, core_seconds, reserved_core
from ci.benchmarks.report import Measure, Row

CONNECTIONS, CPU_CONNECTIONS = (1, 8, 64), 8
SHARES = (50, 90)  # percent of a contender's own maximum rate
STARTS = 3
WARM_SECONDS, SECONDS = 1.0, 6.0
MEASURES = (
    *(Measure(f"closed_{n}_rate", f"{n} connections, rate", "1/s", more_is_better=True) for n in CONNECTIONS),
    *(Measure(f"closed_{n}_p{p}", f"{n} connections, p{p}", "ms") for n in CONNECTIONS for p in (50, 99)),
    *(Measure(f"open_{share}_p{p}", f"{share}% of its own maximum, p{p}", "ms") for share in SHARES for p in (50, 99)),
    Measure("cpu_milliseconds", "CPU a request", "ms"),
    *contender.MEASURES,
)


@dataclass(frozen=True, kw_only=True)
class ClassifierServer(Contender):
    """A server of the forest, and the requests that it gets in turn."""

    requests: Probes

    def responds(self, port: int) -> bool:
        return load.responds(self.requests, port)


def contenders(folder: Path) -> list[ClassifierServer]:
    """Return all servers, ours first. Contenders read and write files in `folder`. Raises Failed without a model."""
    train = "python -m training classifier"
    model = trained_model("mnist_rf_v1.joblib", train)
    manifest = json.loads(trained_model("mnist_rf_v1.json", train).read_text())
    probes = _Manifest(manifest["probes"], manifest["classes"])
    settings = {"MODEL_PATH": str(model)}
    sklearn = pinned("scikit-learn", "training")  # the version in training: pickles of forests do not load in others
    as_features = probes.requests("/predict", lambda image: {"features": image}, ("label",))
    _write_mlserver_settings(folder, model)
    return [
        ClassifierServer(
            name="ours",
            environment=Environment("ours", ("inference-service[classifier]",)),
            command=("python", "-m", "apps.classifier", "--port", "{port}"),
            requests=as_features,
            settings=settings,
        ),
        ClassifierServer(
            name="FastAPI + scikit-learn",
            environment=Environment("fastapi", (pinned("fastapi[standard]", "serving"), sklearn)),
            command=("fastapi", "run", str(PEERS / "plain.py"), "--host", "127.0.0.1", "--port", "{port}"),
            requests=as_features,
            settings=settings,
        ),
        ClassifierServer(
            name="LitServe",
            environment=Environment("litserve", ("litserve==0.2.19", sklearn)),
            command=("python", "lit.py"),
            requests=as_features,
            settings=settings | {"PORT": "{port}"},
            cwd=PEERS,
        ),
        ClassifierServer(
            name="BentoML",
            environment=Environment("bentoml", ("bentoml==1.4.39", sklearn)),
            command=("bentoml", "serve", "bento:Digits", "--host", "127.0.0.1", "--port", "{port}"),
            requests=probes.requests("/predict", lambda image: {"features": [image]}, (0,), probes.classes),
            settings=settings | {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"},
            cwd=PEERS,
        ),
        ClassifierServer(
            name="MLServer",
            # Its workers do not start with a uvloop later than its release.
            environment=Environment(
                "mlserver", ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", sklearn)
            ),
            command=("mlserver", "start", str(folder)),
            requests=probes.requests("/v2/models/digits/infer", _tensor, ("outputs", 0, "data"), probes.classes),
            settings={
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_HTTP_PORT": "{port}",
                "MLSERVER_METRICS_PORT": str(free_port()),
                "MLSERVER_GRPC_PORT": str(free_port()),
            },
            cwd=folder,  # it writes its metrics there
        ),
    ]


def measure(server: ClassifierServer) -> Row:
    """Start the server STARTS times, on a core of its own, and load it after the last start; return all its figures."""
    starts = []
    with reserved_core() as core:
        for last in [False] * (STARTS - 1) + [True]:
            port = free_port()
            with server.start(port, [core]) as process:
                starts.append(process.wait_for(partial(server.responds, port)))
                if last:
                    start, before = time.monotonic(), core_seconds(core) - process.cpu_seconds()
                    figures, failures = _load(server.requests, port, process)
                    others = (core_seconds(core) - process.cpu_seconds() - before) / (time.monotonic() - start)
                    figures |= server.resting_figures(process)
    figures["cold_start_seconds"] = sorted(starts)[STARTS // 2]
    return Row(server.name, server.environment.versions(), figures, failures, 100 * others)


def _load(target: Probes, port: int, server: Server) -> tuple[dict[str, float], Counter[str]]:
    """Send all kinds of load; return the figures and the failures."""
    figures, failures = dict[str, float](), Counter[str]()
    load.closed_loop(target, port, CPU_CONNECTIONS, WARM_SECONDS)
    for connections in CONNECTIONS:
        before = server.cpu_seconds()
        result = load.closed_loop(target, port, connections, SECONDS)
        if connections == CPU_CONNECTIONS:
            figures["cpu_milliseconds"] = 1000 * (server.cpu_seconds() - before) / max(len(result.latencies), 1)
        figures[f"closed_{connections}_rate"] = result.rate
        figures |= _percentiles(f"closed_{connections}", result)
        failures += result.failures
    maximum = max(figures[f"closed_{connections}_rate"] for connections in CONNECTIONS)
    for share in SHARES:
        result = load.open_loop(target, port, maximum * share / 100, SECONDS)
        figures |= _percentiles(f"open_{share}", result)
        failures += result.failures
    return figures, failures


def _percentiles(prefix: str, result: LoadResult) -> dict[str, float]:
    return {f"{prefix}_p{percent}": 1000 * result.percentile(percent) for percent in (50, 99)}


class _Probe(TypedDict, total=False):
    features: list[float]
    scale: float
    label: str


class _Manifest:
    """The manifest's probes (images with their labels) as requests of each server's protocol."""

    def __init__(self, probes: Sequence[_Probe], classes: Sequence[str]) -> None:
        self.classes = classes
        self.images = [[pixel / probe.get("scale", 1) for pixel in probe["features"]] for probe in probes]
        self.labels = [probe["label"] for probe in probes]

    def requests(
        self,
        path: str,
        content: Callable[[list[float]], object],
        place: tuple[str | int, ...],
        classes: Sequence[str] = (),
    ) -> Probes:
        """A request for each probe; its label, or the probabilities of `classes`, are at `place` of the answer."""
        return load.probes(path, [content(image) for image in self.images], self.labels, place, classes)


def _tensor(image: list[float]) -> object:
    tensor = {"name": "features", "shape": [1, len(image)], "datatype": "FP32", "data": image}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _write_mlserver_settings(folder: Path, model: Path) -> None:
    settings = {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(settings))
