"""Each alert of the PrometheusRule fires when it should and not before, by Prometheus' own evaluation."""

import pytest
import yaml

from ci.chart import rendering
from ci.chart.rendering import CHART, of_kind
from ci.tools import extra

pytestmark = pytest.mark.full

OURS = 'namespace="inference",job="classifier-service"'
OTHERS = 'namespace="inference",job="lm-service"'
UP = (f"up{{{OURS}}}", "1+0x30")
OK = f'inference_requests_total{{{OURS},route="/predict",method="POST",status="200"}}'
FAILED = f'inference_requests_total{{{OURS},route="/predict",method="POST",status="504"}}'
BUCKET = f"inference_request_duration_seconds_bucket{{{OURS}"
INFO = f'inference_model_info{{{OURS},name="mnist_rf"'
CASES = {
    "InferenceServiceDown": {
        True: [(f"up{{{OURS}}}", "0+0x30"), (f"up{{{OTHERS}}}", "1+0x30")],
        False: [UP, (f'up{{{OURS},pod="b"}}', "0+0x30")],
    },
    "InferenceServiceErrors": {
        True: [UP, (OK, "0+98x30"), (FAILED, "0+2x30")],
        False: [UP, (OK, "0+995x30"), (FAILED, "0+5x30"), (FAILED.replace("504", "422"), "0+500x30")],
    },
    "InferenceServiceSlow": {
        True: [
            UP,
            (f'{BUCKET},le="2"}}', "0+98x30"),
            (f'{BUCKET},le="5"}}', "0+100x30"),
            (f'{BUCKET},le="+Inf"}}', "0+100x30"),
        ],
        False: [UP, (f'{BUCKET},le="2"}}', "0+100x30"), (f'{BUCKET},le="+Inf"}}', "0+100x30")],
    },
    "InferenceServiceMixedModels": {
        True: [UP, (f'{INFO},version="v1",sha256="1"}}', "1+0x30"), (f'{INFO},version="v1",sha256="2"}}', "1+0x30")],
        False: [
            UP,
            (f'{INFO},version="v1",sha256="1",pod="a"}}', "1+0x30"),
            (f'{INFO},version="v1",sha256="1",pod="b"}}', "1+0x30"),
        ],
    },
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    values = (f"--values={CHART}/values-classifier.yaml", "--set=prometheusRule.enabled=true")
    rule = of_kind(rendering.template(*values, release="classifier-service"), "PrometheusRule")["classifier-service"]
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


def test_every_alert_has_a_case(rules):
    groups = yaml.safe_load(rules.read_text())["groups"]
    assert [rule["alert"] for group in groups for rule in group["rules"]] == list(CASES)


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "stays_silent"])
@pytest.mark.parametrize("alert", CASES)
def test_alert(rules, alert, fires):
    series = [{"series": name, "values": values} for name, values in CASES[alert][fires]]
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    expected = [{"labels": "{}", "value": 1}] if fires else []
    check = {"expr": query, "eval_time": "25m", "exp_samples": expected}
    case = {"interval": "1m", "input_series": series, "promql_expr_test": [check]}
    path = rules.with_name(f"{alert}-{fires}.yaml")
    path.write_text(yaml.safe_dump({"rule_files": [rules.name], "evaluation_interval": "1m", "tests": [case]}))
    rendering.succeed(extra.prometheus("promtool"), "test", "rules", path)
