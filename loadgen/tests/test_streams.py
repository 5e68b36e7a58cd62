"""A run is carried out and written, whatever its standard streams are."""

import json
import os
import subprocess
import sys

import pytest

from loadgen.tests.stub import PREDICTION, answering

pytestmark = pytest.mark.slow  # each run starts processes

LONG = "Ж" * 200


@pytest.mark.parametrize(
    ("redirection", "encoding"),
    [("", "ascii"), ("", "latin-1"), (">&-", "utf-8"), ("<&- >&- 2>&-", "utf-8"), (">/dev/full", "utf-8")],
    ids=["ASCII", "Latin-1", "closed output", "all closed", "full disk"],
)
def test_a_run_is_written_whatever_its_streams_are(stub, tmp_path, redirection, encoding):
    stub.handler = answering(PREDICTION | {"model_version": LONG})
    words = f"classifier --url {stub.url} --dataset-size 20 --duration-seconds 0.2 --rate 10 --output {tmp_path}/x.json"
    command = ["sh", "-c", f"exec {sys.executable} -m loadgen {words} {redirection}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="latin-1", timeout=100)
    assert "Traceback" not in done.stderr
    document = json.loads((tmp_path / "x.json").read_text())
    assert document["summary"]["succeeded"] == 2
    # On a busy machine the generator may be saturated, which has a status of its own.
    assert done.returncode in (0, 98)
    assert redirection or "requests     2 in" in done.stdout
