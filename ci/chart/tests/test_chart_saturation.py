"""The examples of scaling on saturation in the chart's README render a ScaledObject with that one trigger."""

import pytest

from ci.chart import rendering
from ci.chart.rendering import CHART, of_kind


@pytest.mark.parametrize(("example", "trigger"), [(0, "metrics-api"), (1, "prometheus")])
def test_keda_scales_the_language_model_on_saturation(example, trigger, tmp_path):
    values = tmp_path / "saturation.yaml"
    values.write_text(rendering.readme_yaml("Scale on more than CPU")[example])
    rendered = rendering.template(f"--values={CHART}/values-lm.yaml", f"--values={values}", release="lm-service")
    assert not of_kind(rendered, "HorizontalPodAutoscaler")
    (saturation,) = of_kind(rendered, "ScaledObject")["lm-service"]["spec"]["triggers"]
    assert saturation["type"] == trigger
    assert "inference_saturation" in str(saturation["metadata"])
