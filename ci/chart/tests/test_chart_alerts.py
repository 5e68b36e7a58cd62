"""Each alert of the PrometheusRule fires in its case and not in a similar one, as Prometheus evaluates it."""

from pathlib import Path

import pytest
import yaml

from ci.chart import rendering
from ci.chart.rendering import APPS, CHART, of_kind
from ci.tools import extra

pytestmark = pytest.mark.full

Series = list[tuple[str, str]]
CLASSIFIER = 'namespace="inference",job="classifier-service"'
LM = 'namespace="inference",job="lm-service"'
OK = f'inference_requests_total{{{CLASSIFIER},route="/predict",method="POST",status="200"}}'
FAILED = OK.replace("200", "504")
INFO = f'inference_model_info{{{CLASSIFIER},name="mnist_rf"'


def up(release: str, value: int = 1) -> tuple[str, str]:
    return (f"up{{{release}}}", f"{value}+0x30")


def latencies(histogram: str, release: str, limit: str, above: str, late: int) -> Series:
    """A hundred observations a minute, `late` of which are between the two buckets."""
    counts = {limit: 100 - late, above: 100, "+Inf": 100}
    return [(f'{histogram}_bucket{{{release},le="{le}"}}', f"0+{count}x30") for le, count in counts.items()]


DURATION = ("inference_request_duration_seconds", CLASSIFIER, "2", "5")
FIRST = ("vllm:time_to_first_token_seconds", LM, "5", "10")
NEXT = ("vllm:inter_token_latency_seconds", LM, "0.5", "1")
CASES: dict[str, dict[bool, Series]] = {
    "InferenceServiceDown": {
        True: [up(CLASSIFIER, 0)],
        False: [up(CLASSIFIER), up(f'{CLASSIFIER},pod="b"', 0)],
    },
    "InferenceServiceErrors": {
        True: [(OK, "0+98x30"), (FAILED, "0+2x30")],
        False: [(OK, "0+995x30"), (FAILED, "0+5x30"), (FAILED.replace("504", "422"), "0+500x30")],
    },
    "InferenceServiceSlow": {True: latencies(*DURATION, late=2), False: latencies(*DURATION, late=0)},
    "InferenceServiceSlowFirstToken": {
        True: latencies(*FIRST, late=2),
        # Answers of a language model normally take more than two seconds.
        False: [*latencies(*FIRST, late=0), *latencies(DURATION[0], LM, "2", "30", late=90)],
    },
    "InferenceServiceSlowTokens": {True: latencies(*NEXT, late=2), False: latencies(*NEXT, late=0)},
    "InferenceServiceMixedModels": {
        True: [(f'{INFO},version="v1",sha256="1"}}', "1+0x30"), (f'{INFO},version="v1",sha256="2"}}', "1+0x30")],
        False: [
            (f'{INFO},version="v1",sha256="1",pod="a"}}', "1+0x30"),
            (f'{INFO},version="v1",sha256="1",pod="b"}}', "1+0x30"),
        ],
    },
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> list[Path]:
    """The rules of two releases in one namespace, a file each."""
    folder = tmp_path_factory.mktemp("rules")
    return [write(folder, app) for app in APPS]


def write(folder: Path, app: str, *options: str) -> Path:
    values = (f"--values={CHART}/values-{app}.yaml", "--set=prometheusRule.enabled=true", *options)
    rule = of_kind(rendering.template(*values, release=f"{app}-service"), "PrometheusRule")[f"{app}-service"]
    path = folder / f"{app}.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


def check(rules: list[Path], series: Series, firing: list[str]) -> None:
    """Assert that exactly these alerts fire after 25 minutes of `series`, with their labels."""
    samples = [{"labels": f'ALERTS{{{labels},alertstate="firing"}}', "value": 1} for labels in firing]
    query = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "25m", "exp_samples": samples}
    inputs = [{"series": name, "values": values} for name, values in series]
    case = {"interval": "1m", "input_series": inputs, "promql_expr_test": [query]}
    path = rules[0].with_name("test.yaml")
    files = [rule.name for rule in rules]
    path.write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": "1m", "tests": [case]}))
    rendering.succeed(extra.prometheus("promtool"), "test", "rules", path)


def test_every_alert_has_a_case(rules):
    groups = [group for rule in rules for group in yaml.safe_load(rule.read_text())["groups"]]
    assert {rule["alert"] for group in groups for rule in group["rules"]} == set(CASES)


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "stays_silent"])
@pytest.mark.parametrize("alert", CASES)
def test_alert(rules, alert, fires):
    series = CASES[alert][fires]
    others = [up(release) for release in (CLASSIFIER, LM) if not any(f"up{{{release}" in name for name, _ in series)]
    release = LM if any(LM in name for name, _ in series) else CLASSIFIER
    severity = "critical" if alert == "InferenceServiceDown" else "warning"
    check(rules, [*others, *series], [f'alertname="{alert}",{release},severity="{severity}"'] if fires else [])


def test_two_releases_that_fail_are_two_alerts_and_one_stays_when_the_other_recovers(rules):
    failing = [f'alertname="InferenceServiceDown",{release},severity="critical"' for release in (CLASSIFIER, LM)]
    check(rules, [up(CLASSIFIER, 0), up(LM, 0)], failing)
    check(rules, [(f"up{{{CLASSIFIER}}}", "0x10 1x20"), up(LM, 0)], failing[1:])


def test_a_release_that_may_scale_to_zero_is_down_only_while_it_has_pods(tmp_path):
    trigger = "autoscaling.keda.triggers.queue.type=prometheus"
    option = f"--set=autoscaling.minReplicas=0,autoscaling.keda.enabled=true,{trigger}"
    rules = [write(tmp_path, "classifier", option)]
    check(rules, [up(LM)], [])
    check(rules, [up(CLASSIFIER, 0)], [f'alertname="InferenceServiceDown",{CLASSIFIER},severity="critical"'])
