"""The load commands, run through the command line against a stub service with faults."""

import asyncio
import json
import os
import re
import signal
from datetime import datetime

import pytest

from loadgen.commands.cli import main
from loadgen.tests.stub import PREDICTION, answer, answering

pytestmark = pytest.mark.slow  # each run starts processes
INTERRUPTED = {130, 98}  # 98 where another program had the CPU, so that some of the few requests were sent late


@pytest.fixture
def load(stub, tmp_path):
    """Run the command `classifier` for about `requests` requests; return the exit status and the report."""

    def command(*options, requests=10, url=None):
        stub.interrupts_at = requests
        output = tmp_path / "report.json"
        defaults = {"--url": url or stub.url, "--duration-seconds": "20", "--concurrency": "2"}
        defaults |= {"--dataset-size": "20", "--timeout-seconds": "20", "--output": str(output)}
        defaults |= dict(zip(options[::2], options[1::2], strict=True))
        status = main(["classifier", *[word for pair in defaults.items() for word in pair]])
        return status, json.loads(output.read_text())

    return command


def only_error(report):
    (error,) = report["summary"]["errors"]
    assert error["requests"] == report["summary"]["failed"] == len(report["requests"]) > 0
    return error["outcome"], error["status"], error["detail"]


def test_successful_run_exits_0_and_agrees_with_the_counts_of_the_service(load, stub, capsys):
    status, report = load("--workers", "1", requests=20)
    assert status in INTERRUPTED, "the stub ends the run by an interrupt"
    summary = report["summary"]
    assert summary["requests"] == summary["succeeded"] == stub.requests >= 20
    pod = {"pod": "pod-a", "model_version": "v1", "requests": stub.requests}
    first = pytest.approx(report["requests"][0]["end"], abs=1e-6)
    assert summary["served_by"] == [pod | {"first_answer": first}]
    fours = sum(request["sample_index"] % 10 == 4 for request in report["requests"])
    assert summary["accuracy"]["correct"] == fours >= 2
    output = capsys.readouterr().out
    assert "failed       0\n" in output and re.search(r"answered by  pod-a  v1 .*  from \d\.\d s on\n", output)


def test_requests_contain_the_images_in_turn_as_numbers_from_0_to_1(load, stub):
    load("--concurrency", "1", "--dataset-size", "10", requests=11)
    first = [body["features"][0] for body in stub.bodies[:11]]
    assert [round(value * 255, 4) for value in first] == [*range(0, 20, 2), 0]
    assert all(len(body["features"]) == 784 and body["features"][783] == 1 for body in stub.bodies)


def test_report_has_consistent_times_and_every_request(load):
    _, report = load()
    started = datetime.fromisoformat(report["run"]["started_at"])
    assert 0 <= (datetime.now(started.tzinfo) - started).total_seconds() - report["run"]["elapsed_seconds"] < 10
    for request in report["requests"]:
        assert 0 <= request["intended"] <= request["sent"] < request["first_byte"] <= request["end"]
        assert request["end"] <= report["run"]["elapsed_seconds"] + 1e-6
        assert request["outcome"] == "ok" and request["status"] == 200 and request["detail"] is None
        assert request["served_by"] == "pod-a" and request["model_version"] == "v1"
        assert request["correct"] == (request["sample_index"] % 10 == 4)
    ends = [request["end"] for request in report["requests"]]
    assert ends == sorted(ends)


def test_problem_is_counted_by_status_and_title_with_its_request_id(load, stub):
    problem = {"title": "Too busy", "status": 503, "model_version": "v1"}
    stub.handler = answering(problem, 503, {"X-Request-ID": "abc"})
    status, report = load()
    assert status == 1
    assert only_error(report) == ("http", 503, "Too busy")
    assert report["requests"][0]["request_id"] == "abc"
    assert report["summary"]["served_by"][0]["model_version"] == "v1"


def test_error_without_a_problem_document_is_counted_by_its_reason_phrase(load, stub):
    stub.handler = answering(b"<html>", 502)
    assert only_error(load()[1]) == ("http", 502, "Bad Gateway")


def test_redirect_is_an_error_and_is_not_followed(load, stub):
    stub.handler = answering(PREDICTION, 307, {"Location": stub.url})
    _, report = load()
    assert only_error(report)[:2] == ("http", 307)
    assert stub.requests == report["summary"]["requests"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"<html>it works</html>", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "`model_version` is missing"),
        ({"model_version": None}, "`model_version` is missing"),
        ({"label": 4}, "`label` has the wrong type"),
        ({"probability": 1.5}, "`probability` is not from 0 to 1"),
        ({"probability": True}, "`probability` has the wrong type"),
        ({"top": [3]}, "`label` is missing"),
    ],
)
def test_200_response_that_violates_the_contract_is_an_invalid_answer(load, stub, body, detail):
    stub.handler = answering(PREDICTION | body if isinstance(body, dict) else body)
    status, report = load(requests=1)
    assert status == 1
    assert only_error(report) == ("invalid", 200, detail)


def test_refused_connection_is_reported_with_the_remedy_and_new_requests_are_slowed(load, refused_url, capsys):
    status, report = load("--duration-seconds", "0.5", url=refused_url)
    assert status == 1
    assert only_error(report) == ("connect", None, "Connection refused")
    assert report["summary"]["requests"] <= 2 * 5  # two users, at once and every 0.1 s
    assert "Is the service up? `ci/up` starts both" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_awaits_requests_under_way_and_writes_the_report(load, stub, number, capsys):
    async def handler(request):
        if request.number == 5:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.2)
        request.send(answer())

    stub.handler = handler
    status, report = load("--concurrency", "1", requests=None)
    assert status == 128 + number
    assert report["run"]["ended_by"] == number.name and report["summary"]["interrupted"] == 0
    assert report["summary"]["requests"] == stub.requests == 5
    assert f"(ended by {number.name})" in capsys.readouterr().out


def test_second_interrupt_cuts_off_requests_under_way_without_counting_them_as_failed(load, stub):
    async def handler(request):
        if request.number < 5:
            request.send(answer())
        else:
            await asyncio.sleep(0.2)  # the stub has just sent the first interrupt; equal pending signals merge
            os.kill(os.getpid(), signal.SIGINT)

    stub.handler = handler
    status, report = load("--concurrency", "1", requests=5)
    assert status in INTERRUPTED
    assert report["summary"]["interrupted"] == 1
    assert report["summary"]["requests"] == 4 and report["summary"]["failed"] == 0


def test_interrupt_after_the_sending_cuts_off_at_once_what_is_under_way(load, stub):
    async def handler(request):
        await asyncio.sleep(0.5)  # by then the 0.2 s of sending are over
        os.kill(os.getpid(), signal.SIGINT)

    stub.handler = handler
    status, report = load("--concurrency", "1", "--duration-seconds", "0.2", requests=None)
    assert status in INTERRUPTED
    summary = report["summary"]
    assert (summary["requests"], summary["failed"], summary["interrupted"]) == (0, 0, 1), "nothing has failed"
    assert report["run"]["ended_by"] == "SIGINT"


def test_lm_load_requests_tokens_and_counts_them(stub, tmp_path, capsys):
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    stub.handler = answering(
        {"generated_text": " Paris.", "finish_reason": "stop", "usage": usage, "model_version": "v1"}
    )
    stub.interrupts_at = 10
    output = tmp_path / "report.json"
    words = ["--url", stub.url, "--max-new-tokens", "7", "--output", str(output)]
    assert main(["lm", *words]) in INTERRUPTED
    report = json.loads(output.read_text())
    assert all(body["max_new_tokens"] == 7 and body["prompt"] for body in stub.bodies)
    assert report["summary"]["completion_tokens"]["total"] == 3 * stub.requests
    assert report["summary"]["failed"] == 0
    assert report["summary"]["accuracy"] is None and report["requests"][0]["completion_tokens"] == 3
    assert f"tokens       {3 * stub.requests:,} generated" in capsys.readouterr().out
