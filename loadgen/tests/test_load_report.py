"""The JSON report: every key is documented, and the file is written atomically."""

import errno
import json
import re
from pathlib import Path

import pytest

from loadgen import report
from loadgen.cli import main
from loadgen.observe import Observation, Run

SETTINGS = {"duration_seconds": 1.0, "concurrency": 1, "timeout_seconds": 30.0, "connection_seconds": 5.0}


@pytest.fixture
def run():
    run = Run("classifier", "http://127.0.0.1/predict", SETTINGS | {"dataset_size": 20})
    run.add(Observation(start=0.0, end=0.1, status=200, correct=True, served_by="pod-a", model_version="v1"))
    run.add(Observation(start=0.1, end=0.2, outcome="timeout", completion_tokens=1, sample_index=3))
    run.elapsed_seconds, run.lags = 0.2, [0.001]
    return run


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_key_of_the_report_is_documented(run, tmp_path):
    report.write(tmp_path / "report.json", run)
    written = json.loads((tmp_path / "report.json").read_text())
    assert list(written)[-1] == "requests" and len(written["requests"]) == 2
    assert keys(written) - set(re.findall(r"\w+", report.__doc__)) == set()


def test_report_is_replaced_not_rewritten(run, tmp_path):
    output = tmp_path / "report.json"
    output.write_text("previous")
    with output.open() as reader:
        report.write(output, run)
        assert reader.read() == "previous"


def test_report_without_requests_is_valid_json(run, tmp_path):
    run.observations.clear()
    report.write(tmp_path / "report.json", run)
    assert json.loads((tmp_path / "report.json").read_text())["requests"] == []


def test_full_disk_leaves_the_previous_report_and_exits_1(stub, tmp_path, monkeypatch, capsys):
    stub.interrupts_at = 1
    output = tmp_path / "report.json"
    output.write_text("previous")

    def write_half(path, text):
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    words = ["--url", stub.url, "--dataset-size", "1", "--output", str(output)]
    assert main(["classifier", *words]) == 1
    printed = capsys.readouterr()
    assert f"--output {output} could not be written: No space left on device." in printed.err
    assert "requests  " in printed.out
    assert output.read_text() == "previous"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.json"]
