"""Thresholds: what can be written, and what it decides over a run's document."""

import pytest

from loadgen.commands import exits
from loadgen.scenarios.thresholds import evaluate, govern_errors, parse

RESPONSE = {"p50": 0.1, "p90": 0.15, "p95": 0.18, "p99": 0.25, "max": 0.4, "mean": 0.11}
SUMMARY = {
    "requests": 200,
    "failed": 3,
    "dropped": 0,
    "stale": 2,
    "rate_per_second": 49.5,
    "response_seconds": RESPONSE,
    "service_seconds": {"p50": 0.09, "p90": 0.1, "p95": 0.11, "p99": 0.12, "max": 0.2, "mean": 0.09},
    "first_token_seconds": None,
    "accuracy": {"correct": 190, "judged": 197, "share": 190 / 197},
}
SPIKE = {**SUMMARY, "failed": 3, "requests": 20, "response_seconds": {**RESPONSE, "p99": 0.7}}
DOCUMENT = {
    "summary": SUMMARY,
    "phases": [{"name": "base", "summary": {**SUMMARY, "failed": 0}}, {"name": "spike", "summary": SPIKE}],
    "cluster": {"deployment": [{"ready": 1}, {"ready": 3}, {"ready": 2}]},
}


@pytest.mark.parametrize(
    ("expression", "value", "passed"),
    [
        ("p99<250ms", 0.25, False),
        ("p99<=250ms", 0.25, True),
        ("p99 < 0.3s", 0.25, True),
        ("p(99)<200", 0.25, False),
        ("p(90)<200", 0.15, True),
        ("avg<110", 0.11, False),
        ("med<101", 0.1, True),
        ("service.p99<121ms", 0.12, True),
        ("max<400000us", 0.4, False),
        ("errors==0", 3, False),
        ("errors{phase=base}==0", 0, True),
        ("rate<0.01", 0.015, False),
        ("rate<2%", 0.015, True),
        ("rate{phase:spike}<=0.15", 0.15, True),
        ("throughput>=49.5", 49.5, True),
        ("dropped===0", 0, True),
        ("stale<2", 2, False),
        ("accuracy>96%", 190 / 197, True),
        ("replicas.max>=3", 3, True),
        ("replicas.min>1", 1, False),
        ("p99{phase=spike}<500ms", 0.7, False),
        ("first_token.p99<1s", None, False),
    ],
)
def test_a_threshold_decides_over_the_figure_that_it_names(expression, value, passed):
    assert evaluate([parse(expression)], DOCUMENT) == [{"expression": expression, "value": value, "passed": passed}]


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("p99", "must be such as"),
        ("p99<200ms and errors==0", "must be such as"),
        ("p99<-1", "must be such as"),
        ("p98<200ms", "p98 is not a figure of a run; known are p50"),
        ("latency<200ms", "latency is not a figure"),
        ("errors<3ms", "errors has no unit"),
        ("p99<3%", "p99 is a duration"),
        ("accuracy>0.9 abort=10s", "abort is for response and service times"),
        ("replicas.max{phase=spike}>1", "replicas are those of the whole run"),
    ],
)
def test_what_is_no_threshold_is_refused_with_the_rule(expression, rule):
    with pytest.raises(ValueError, match="^" + rule.replace(".", r"\.")):
        parse(expression)


def test_abort_is_read_beside_the_threshold():
    assert parse("p99{phase=spike}<2s abort=30s").abort_after_seconds == 30
    assert parse("p99<2s, abort=1.5s").abort_after_seconds == 1.5
    assert parse("p99<2s").abort_after_seconds is None


def test_only_a_threshold_on_all_errors_allows_failed_requests():
    assert govern_errors([parse("rate<0.01")]) and govern_errors([parse("errors<5")])
    assert not govern_errors([parse("p99<1s"), parse("errors{phase=spike}<5")])


def test_the_first_applicable_exit_status_wins():
    bad = {"saturated": True, "observable": False, "thresholds_passed": False, "requests_failed": True}
    order = [("saturated", False, 98), ("observable", True, 96), ("thresholds_passed", True, 99)]
    order += [("requests_failed", False, 1)]
    for name, mended, expected in order:
        assert exits.status(**bad, interrupted_by="SIGTERM") == expected
        bad[name] = mended
    assert exits.status(**bad, interrupted_by="SIGTERM") == 143
    assert exits.status(**bad, interrupted_by="SIGINT") == 130
    assert exits.status(**bad, interrupted_by="SIGHUP") == 129
    assert exits.status(**bad, interrupted_by=None) == 0
