"""The report: its numbers equal the document's, nothing that a server sent acts, and it needs nothing from outside."""

import copy
import json
import re
import resource

import pytest

from loadgen.autoscaler.reaction import reaction
from loadgen.commands.cli import main
from loadgen.report import page
from loadgen.report.compare import compare
from loadgen.report.tests import documents
from loadgen.report.verdict import verdict

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>\u202e\x1b[2J"


def test_the_numbers_are_those_of_the_document():
    html = page.report(documents.complete())
    for text in ("1,950", "16.2", "<b>200 ms</b>", "<b>500 ms</b>", "1 → 2 → 2", "61.5%", "38.5%"):
        assert text in html, text
    decision = "102% of the request is 1.46 times the target. Unknown: recommendations before -5 s."
    for text in (
        "✗ missed",
        "<td class=n>17.0\N{NO-BREAK SPACE}s</td>",
        "shorter by metrics-server",
        decision,
        "in hindsight",
    ):
        assert text in html, text


def test_nothing_is_loaded_from_outside():
    html = page.report(documents.observed())
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html)


def test_what_a_server_sent_is_text():
    document = documents.observed()
    document["summary"]["errors"] = [
        {"outcome": "http", "status": 500, "detail": HOSTILE, "requests": 3, "phase": "high", "pod": HOSTILE}
        | {"model_version": HOSTILE}
    ]
    document["summary"]["served_by"][0]["pod"] = HOSTILE
    document["cluster"]["pods"][0]["name"] = HOSTILE
    document["cluster"]["events"][0]["message"] = HOSTILE
    html = page.report(document)
    assert html.count("<script") == 2 and "<img" not in html, "the page's own two scripts"


@pytest.mark.parametrize(("skew", "text"), [(-0.01, "0.01 s behind"), (0.25, "0.25 s ahead of")])
def test_settings_are_told_in_words(skew, text):
    document = documents.observed()
    document["cluster"]["skew_seconds"] = skew
    html = page.report(document)
    assert f"v1.35.4; clock {text} this machine&#x27;s" in html
    assert "<td>host</td><td>cores 2</td>" in html and "source assumed" in html


@pytest.mark.parametrize("due", [[], [0] * 5, [3]], ids=["no second", "no request", "one second"])
def test_a_run_of_nearly_nothing_has_a_report(due):
    document = documents.run(due)
    document["phases"] = document["phases"][:1]
    assert "<h1>" in page.report(document)


def test_a_million_requests_stay_below_three_megabytes():
    assert len(page.report(documents.million())) < 3_000_000


def test_two_runs_stand_side_by_side():
    first, second = documents.run(), documents.observed()
    second["settings"] = {**second["settings"], "rate": 7}
    second["summary"] = {**copy.deepcopy(second["summary"]), "failed": 12}
    html = compare(first, second, ("a.json", "b.json"))
    assert "<td>failed</td><td class=n>0</td><td class=n>12</td>" in html
    assert "<td>rate</td><td>5</td><td>7</td>" in html
    (text,) = re.findall(r'id="data">(.*?)</script>', html)
    data = json.loads(text)
    assert [series["name"] for series in data["panels"][0]["series"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "All 1,950 requests succeeded, response time 200 ms at p50 and 500 ms at p99; the release went from 1 to 2 "
            "replicas, of which the first new one answered 32 s after the load rose and the latency had recovered "
            "after 35 s.",
        ),
        ({"cluster": None}, "All 1,950 requests succeeded, response time 200 ms at p50 and 500 ms at p99."),
        (
            {"generator": {"saturated": True, "reasons": ["A process used 97% of its core."]}},
            "The generator was saturated, so this run does not describe the service.",
        ),
        (
            {"thresholds": [{"expression": "p99<1ms", "value": 0.5, "passed": False}], "cluster": None},
            "1 threshold missed: p99<1ms; all 1,950 requests succeeded, response time 200 ms at p50 and 500 ms at p99.",
        ),
        ({"summary": documents.summary(0)}, "No request was due, so this run shows nothing about the service."),
    ],
)
def test_the_verdict_is_one_sentence(changes, sentence):
    document = documents.observed()
    assert verdict({**document, "reaction": reaction(document), **changes}) == sentence


def test_the_verdict_and_the_report_tell_that_the_latency_did_not_rise():
    document = documents.observed(timeline=documents.timeline([5] * 30 + [20] * 90))
    document["reaction"] = reaction(document)
    assert verdict(document).endswith("answered 32 s after the load rose and the latency did not rise.")
    assert "<td class=n>-</td><td>the latency did not rise</td>" in page.report(document)


def test_the_verdict_on_a_run_without_a_success_tells_no_latency():
    document = documents.run()
    requests = document["summary"]["requests"]
    document["summary"] |= {"failed": requests, "succeeded": 0}
    document["summary"]["errors"] = [{"outcome": "http", "status": 404, "detail": "Not Found", "requests": requests}]
    expected = f"{requests:,} of {requests:,} requests failed, most by HTTP 404: Not Found."
    assert verdict(document) == expected


def test_the_comparison_of_two_runs_leaves_the_report_of_the_first(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(documents.run()))
    (tmp_path / "a.html").write_text("the report of a")
    assert main(["report", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "a.html").read_text() == "the report of a"
    assert "Two runs side by side" in (tmp_path / "a-b.html").read_text()
    assert capsys.readouterr().out == f"The report is in {tmp_path}/a-b.html.\n"


def test_a_report_that_cannot_be_written_is_told_in_words(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(documents.run()))
    assert main(["report", str(tmp_path / "a.json"), "--report", "/dev/full"]) == 1
    assert capsys.readouterr().err == "--report /dev/full could not be written: No space left on device.\n"


def test_a_report_that_cannot_be_completed_leaves_the_previous_one(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(documents.run()))
    (tmp_path / "a.html").write_text("previous")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        assert main(["report", str(tmp_path / "a.json")]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr().err == f"--report {tmp_path}/a.html could not be written: File too large.\n"
    assert (tmp_path / "a.html").read_text() == "previous"
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.html", "cache"}
