"""Our classifier and four other servers of the same model, each set up as in its documentation, and their figures."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ci.benchmarks import contender, load
from ci.benchmarks.contender import PEERS, Contender, free_port
from ci.benchmarks.environments import Environment, pinned
from ci.benchmarks.load import LoadResult, Probes
from ci.benchmarks.process import Server, core_seconds, reserved_core
from ci.benchmarks.report import Measure, Row

CONNECTIONS, CPU_CONNECTIONS = (1, 8, 64), 8
SHARES = (50, 90)  # percent of a contender's own rate with the most connections
STARTS = 3
SCIKIT_LEARN = pinned("scikit-learn", "training")  # pickles do not load in other versions
WARM_SECONDS = 1.0
ROUNDS, SECONDS = 3, 2.0  # of each load, in turn with the others
MEASURES = (
    *(Measure(f"closed_{n}_rate", f"{n} connections, rate", "1/s", more_is_better=True) for n in CONNECTIONS),
    *(Measure(f"closed_{n}_p{p}", f"{n} connections, p{p}", "ms") for n in CONNECTIONS for p in (50, 99)),
    *(
        Measure(f"open_{share}_p{p}", f"{share}% of its rate with {CONNECTIONS[-1]} connections, p{p}", "ms")
        for share in SHARES
        for p in (50, 99)
    ),
    Measure("cpu_milliseconds", "CPU a request", "ms"),
    *contender.MEASURES,
)


@dataclass(frozen=True, kw_only=True)
class ClassifierServer(Contender):
    """A server of the model, and the requests that it gets in turn."""

    requests: Probes

    def responds(self, port: int) -> bool:
        return load.responds(self.requests, port)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as we serve it and as scikit-learn saved it, and rows in JSON with the original's labels."""

    ours: Path
    extra: str = "classifier"
    original: Path
    libraries: tuple[str, ...] = ()  # that `original` needs beside scikit-learn
    rows: Sequence[object]
    labels: Sequence[str]
    classes: Sequence[str]
    peers: str = ""  # what the names of the peers' programs end with
    batch: Callable[[object], object] = field(default=lambda row: {"features": [row]})  # a row in BentoML's request
    inputs: Callable[[object], object]  # a row in a request of the Open Inference Protocol

    def requests(
        self,
        path: str,
        content: Callable[[object], object],
        place: tuple[str | int, ...],
        classes: Sequence[str] = (),
    ) -> Probes:
        """A request for each row; its label, or the probabilities of `classes`, are at `place` of the answer."""
        return load.probes(path, [content(row) for row in self.rows], self.labels, place, classes)


def servers(model: Model, folder: Path) -> list[ClassifierServer]:
    """Return all servers, ours first. They read and write files in `folder`."""
    packages = (SCIKIT_LEARN, *model.libraries)
    as_features = model.requests("/predict", lambda row: {"features": row}, ("label",))
    settings = {"MODEL_PATH": str(model.original)}
    _write_mlserver_settings(folder, model.original)
    return [
        ClassifierServer(
            name="ours",
            environment=Environment("ours", (f"inference-service[{model.extra}]",)),
            command=("python", "-m", "apps.classifier", "--port", "{port}"),
            requests=as_features,
            settings={"MODEL_PATH": str(model.ours)},
        ),
        ClassifierServer(
            name="FastAPI + scikit-learn",
            environment=fastapi(model.libraries),
            command=("fastapi", "run", f"plain{model.peers}.py", "--host", "127.0.0.1", "--port", "{port}"),
            requests=as_features,
            settings=settings,
            cwd=PEERS,
        ),
        ClassifierServer(
            name="LitServe",
            environment=Environment("litserve", ("litserve==0.2.19", *packages)),
            command=("python", f"lit{model.peers}.py"),
            requests=as_features,
            settings=settings | {"PORT": "{port}"},
            cwd=PEERS,
        ),
        ClassifierServer(
            name="BentoML",
            environment=Environment("bentoml", ("bentoml==1.4.39", *packages)),
            command=("bentoml", "serve", f"bento{model.peers}:Model", "--host", "127.0.0.1", "--port", "{port}"),
            requests=model.requests("/predict", model.batch, (0,), model.classes),
            settings=settings | {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"},
            cwd=PEERS,
        ),
        ClassifierServer(
            name="MLServer",
            # Its workers do not start with a uvloop later than its release.
            environment=Environment(
                "mlserver", ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", *packages)
            ),
            command=("mlserver", "start", str(folder)),
            requests=model.requests("/v2/models/model/infer", model.inputs, ("outputs", 0, "data"), model.classes),
            settings={
                "MLSERVER_HOST": "127.0.0.1",
                "MLSERVER_HTTP_PORT": "{port}",
                "MLSERVER_METRICS_PORT": str(free_port()),
                "MLSERVER_GRPC_PORT": str(free_port()),
            },
            cwd=folder,  # it writes its metrics there
        ),
    ]


def fastapi(libraries: tuple[str, ...]) -> Environment:
    """Return the environment of FastAPI and scikit-learn, with the `libraries` of a model."""
    return Environment("fastapi", (pinned("fastapi[standard]", "serving"), SCIKIT_LEARN, *libraries))


def tensor(row: object) -> object:
    """Return a request of the Open Inference Protocol for a row of numbers."""
    assert isinstance(row, list)
    numbers = {"name": "features", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return {"inputs": [numbers], "outputs": [{"name": "predict_proba"}]}


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
    """Send all kinds of load; return the figures and the failures.

    They alternate, and each open loop goes by the last closed loop of its own round: the machine's speed varies by a
    fifth within seconds, so that 90% of an earlier rate, or of the greatest of several, may be more than the server
    answers.
    """
    results: defaultdict[str, LoadResult] = defaultdict(LoadResult)
    cpu_seconds = 0.0
    load.closed_loop(target, port, CPU_CONNECTIONS, WARM_SECONDS)
    for _ in range(ROUNDS):
        for connections in CONNECTIONS:
            before = server.cpu_seconds()
            result = load.closed_loop(target, port, connections, SECONDS)
            if connections == CPU_CONNECTIONS:
                cpu_seconds += server.cpu_seconds() - before
            results[f"closed_{connections}"].add(result)
        for share in SHARES:
            results[f"open_{share}"].add(load.open_loop(target, port, result.rate * share / 100, SECONDS))
    figures = {
        f"{name}_p{percent}": 1000 * result.percentile(percent)
        for name, result in results.items()
        for percent in (50, 99)
    }
    figures |= {f"closed_{connections}_rate": results[f"closed_{connections}"].rate for connections in CONNECTIONS}
    figures["cpu_milliseconds"] = 1000 * cpu_seconds / max(len(results[f"closed_{CPU_CONNECTIONS}"].latencies), 1)
    return figures, sum((result.failures for result in results.values()), Counter())


def _write_mlserver_settings(folder: Path, model: Path) -> None:
    settings = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(settings))
