"""Models on a real server of MLflow are registered by name and alias, and answer as they were logged."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from apps.classifier.model import open_classifier
from apps.serving.tests.environments import python_with
from apps.serving.tests.processes import until
from models import registry
from training.__main__ import main

pytestmark = pytest.mark.full
PACKAGES = "mlflow==3.17.2", "scikit-learn==1.9.1", "xgboost-cpu==3.2.0"
SCRIPT, COMMIT = Path(__file__).with_name("logging_models.py"), "0123456789abcdef0123456789abcdef01234567"
START_SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a server with three models, and what was logged."""
    folder, python, port = tmp_path_factory.mktemp("mlflow"), python_with(*PACKAGES), _free_port()
    url = f"http://127.0.0.1:{port}"
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/db.sqlite", "--artifacts-destination", str(folder / "art")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([python, "-m", "mlflow", *words, *stores], stdout=log, stderr=log, cwd=folder)
    try:
        until(lambda: _healthy(url), START_SECONDS)
        subprocess.run([python, SCRIPT, url, folder, COMMIT], check=True, cwd=folder, capture_output=True)
        yield url, json.loads((folder / "answers.json").read_text())
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def register(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server[0])
    return lambda *words: main(["register", *map(str, words), "--models-dir", str(tmp_path)])


@pytest.mark.parametrize(
    ("uri", "artifact"),
    [
        ("models:/house@champion", "house_v1.onnx"),
        ("models:/forest/1", "forest_v1.joblib"),
        ("models:/boosted/1", "boosted_v1.onnx"),
    ],
)
def test_a_registered_model_answers_as_it_was_logged(server, register, tmp_path, uri, artifact):
    assert register(uri) == 0
    logged, manifest = server[1][uri.split("/")[1].partition("@")[0]], registry.verify(tmp_path / artifact)
    facts = {"source": "MLflow", "uri": uri, "run_id": server[1]["run"], "git_commit": COMMIT}
    assert manifest.data == facts | {"mlflow": "3.17.2"}
    served = open_classifier(str(tmp_path / artifact))
    assert served.table is not None
    assert [feature.name for feature in served.table.features] == ["age", "rooms", "colour"][: len(logged["rows"][0])]
    assert served.example == logged["rows"][0] or artifact.endswith(".joblib")
    answers = served.forest.evaluate(served.table.rows([((), row) for row in logged["rows"]]))
    assert np.abs(answers - logged["probabilities"]).max() < 1e-6


def test_a_model_of_a_run_is_registered_under_the_id_that_is_given(server, register, tmp_path):
    assert register(f"runs:/{server[1]['run']}/forest", "--version-id", "own_v1") == 0
    assert registry.verify(tmp_path / "own_v1.joblib").data["git_commit"] == COMMIT


def test_a_name_that_the_server_does_not_know_is_one_line(register, capsys):
    assert register("models:/unknown@champion") == 1
    assert "'models:/unknown@champion' is not downloaded: " in capsys.readouterr().err.splitlines()[-1]


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
