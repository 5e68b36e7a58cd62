"""The chart is refused as a dependency of another chart: two instances would have the same names."""

import shutil

import yaml

from ci.chart import rendering
from ci.chart.rendering import CHART


def test_a_parent_chart_with_two_models_is_refused(tmp_path):
    aliases = ("digits", "letters")
    dependencies = [{"name": "inference-service", "version": "*", "alias": alias} for alias in aliases]
    parent = {"apiVersion": "v2", "name": "parent", "version": "0.1.0", "dependencies": dependencies}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(parent))
    shutil.copytree(CHART, tmp_path / "charts/inference-service")
    model = yaml.safe_load((CHART / "values-classifier.yaml").read_text())
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(dict.fromkeys(aliases, model)))
    done = rendering.run("helm", "template", "r", tmp_path)
    assert done.returncode != 0
    assert "is a dependency of another chart: two instances in one release would have the same names" in done.stderr
    assert "Install each model as a release of its own." in done.stderr
