"""Models of 16 families, on rows of mixed types, are served as their originals answer; `-s` prints the table."""

import json

import pytest

from training import environments

BOUND = 1e-6
XGBOOST_BOUND = 2**-23  # the last place of float32, in which XGBoost computes


@pytest.mark.full
def test_each_family_agrees_with_its_original_and_answers_sooner():
    python = environments.ready("onnx") / "python"
    lines = [
        json.loads(line) for line in environments.run([python, "-m", "training.tests.classifier.families"]).splitlines()
    ]
    print(
        "\n| model | precision | largest difference | ms a row | original, ms a row |\n| --- | --- | --- | --- | --- |"
    )
    for line in (line for line in lines if "refused" not in line):
        times = f"{line['ms']:.3f} | {line['original_ms']:.1f}"
        print(f"| {line['model']} | {line['precision']} | {line['difference']:.0e} | {times} |")
    assert not [line for line in lines if "refused" in line]
    assert len(lines) >= 30 and all(line["difference"] <= BOUND and line["ms"] < line["original_ms"] for line in lines)
    assert all(line["difference"] <= XGBOOST_BOUND for line in lines if line["model"].startswith("XGB"))
