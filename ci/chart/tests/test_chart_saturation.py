"""The examples of scaling on saturation in the chart's README render valid objects."""

import kubernetes_validate
import pytest

from ci.chart import rendering
from ci.chart.rendering import CHART


@pytest.fixture
def scaled(tmp_path):
    """The autoscaler of the language model with the values of one of README's examples."""

    def render(number: int) -> dict:
        values = tmp_path / "saturation.yaml"
        values.write_text(rendering.readme_yaml("Scale on more than CPU")[number])
        rendered = rendering.template(f"--values={CHART}/values-lm.yaml", f"--values={values}")
        (scaler,) = [one for one in rendered if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
        return scaler

    return render


def test_keda_scales_the_language_model_on_saturation_and_on_cpu(scaled):
    scaler = scaled(0)
    assert scaler["kind"] == "ScaledObject"
    cpu, saturation = scaler["spec"]["triggers"]
    assert (cpu["type"], saturation["type"]) == ("cpu", "prometheus")
    assert "inference_saturation" in saturation["metadata"]["query"]


def test_the_horizontal_pod_autoscaler_scales_on_saturation_from_an_adapter(scaled):
    scaler = scaled(1)
    kubernetes_validate.validate(scaler, "1.35", strict=True)
    cpu, saturation = scaler["spec"]["metrics"]
    assert (cpu["type"], saturation["pods"]["metric"]["name"]) == ("Resource", "inference_saturation")
