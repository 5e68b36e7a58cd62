"""`ci/chart/reference.py`: values.yaml, schema and README have the same keys and sentences."""

import shutil
import sys

import pytest

from ci.chart import reference, rendering
from ci.chart.rendering import CHART


def test_schema_and_readme_match_values_yaml():
    done = rendering.run(sys.executable, "ci/chart/reference.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_sentence_is_reported_with_the_command_that_updates_the_files(tmp_path):
    chart = _copy(tmp_path, "Tag of the image.", "Tag of that image.")
    stale = rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart)
    assert stale.returncode == 1
    assert stale.stdout.count("run: python ci/chart/reference.py --write") == 2
    assert rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart, "--write").returncode == 0
    assert "| Tag of that image. |" in (chart / "README.md").read_text()
    assert rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart).returncode == 0


def test_a_value_without_a_sentence_is_reported(tmp_path):
    chart = _copy(tmp_path, "replicas: 1\n", "replicas: 1\nnew: 1\n")
    done = rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart)
    assert (done.returncode, done.stderr) == (1, "values.yaml: new has no `# --` sentence above it.\n")


def test_keys_that_the_schema_or_values_yaml_lacks_are_reported(tmp_path):
    chart = _copy(tmp_path, "\nreplicas: 1\n", "\ncopies: 1\n")
    done = rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "values.schema.json: copies of values.yaml is missing.",
        "values.schema.json: replicas is not in values.yaml.",
    ]


@pytest.mark.parametrize(
    ("required", "path"),
    [
        ('"replicas", ', "replicas"),
        ('"preflight", ', "preflight"),
        (', "runbookUrl"', "prometheusRule.runbookUrl"),
    ],
)
def test_a_value_that_null_would_remove_from_under_a_template_must_be_required(tmp_path, required, path):
    chart = shutil.copytree(CHART, tmp_path / "chart")
    schema = (chart / "values.schema.json").read_text()
    assert schema.count(required) == 1
    (chart / "values.schema.json").write_text(schema.replace(required, ""))
    done = rendering.run(sys.executable, "ci/chart/reference.py", "--chart", chart)
    assert (done.returncode, done.stderr) == (1, f"values.schema.json: {path} {reference.REQUIRED}\n")


def _copy(tmp_path, old: str, new: str):
    chart = shutil.copytree(CHART, tmp_path / "chart")
    text = (chart / "values.yaml").read_text()
    assert text.count(old) == 1
    (chart / "values.yaml").write_text(text.replace(old, new))
    return chart
