"""Published clients of the Open Inference Protocol ask a model of a table unchanged, with JSON and binary tensors."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from apps.classifier.tests import open_inference_clients, tables
from apps.serving.tests.environments import python_with
from apps.serving.tests.processes import Process, running

pytestmark = [pytest.mark.service, pytest.mark.full]
PACKAGES = {
    "triton": "tritonclient[http]==2.73.0",
    "triton-asyncio": "tritonclient[http]==2.73.0",
    "kserve": "kserve==0.21.0",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Process]:
    with running("apps.classifier", MODEL_PATH=tables.publish_mixed(tmp_path_factory.mktemp("house"))) as process:
        yield process


@pytest.mark.parametrize("client", PACKAGES)
def test_a_client_gets_scikit_learns_probabilities(client, service):
    words = [python_with(PACKAGES[client]), Path(open_inference_clients.__file__), client, f"127.0.0.1:{service.port}"]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rows = np.array([[4.5, 3, 1, 2, 2], [1.25, 9, 0, 0, 1]], np.float32)
    expected = tables.mixed_forest().predict_proba(rows).tolist()
    assert json.loads(printed) == [expected, expected]
