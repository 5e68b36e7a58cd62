"""One line a request, with its id; nothing of what was asked."""

import io
import json
import logging
import re

import pytest
from starlette.responses import StreamingResponse

from apps.serving.logs import JsonFormatter

SECRET = 0.123456789


@pytest.fixture
def lines(caplog):
    """The access lines so far, as JSON."""
    caplog.set_level(logging.INFO)
    formatter = JsonFormatter()
    return lambda: [json.loads(formatter.format(r)) for r in caplog.records if r.name == "serving.access"]


def test_a_request_is_one_line_with_time_level_logger_id_method_route_status_and_latency(client, lines):
    answer = client.post("/sleep?token=secret", json={"seconds": 0})
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line.pop("latency_seconds") >= 0
    assert {key: line[key] for key in line if key != "time"} == {
        "level": "info",
        "logger": "serving.access",
        "message": "request",
        "request_id": answer.headers["x-request-id"],
        "method": "POST",
        "path": "/sleep",
        "status": 200,
    }


def test_a_path_that_does_not_exist_is_not_written_to_the_log(client, lines):
    client.get("/wp-admin/secret")
    assert lines()[0]["path"] == "unmatched"


def test_what_was_asked_is_never_logged(client, caplog):
    caplog.set_level(logging.DEBUG)
    client.post("/sleep", json={"seconds": SECRET})
    client.post("/sleep", json={"seconds": f"{SECRET}"})
    formatter = JsonFormatter()
    assert caplog.records
    assert not any(str(SECRET) in formatter.format(record) for record in caplog.records)


def test_probes_leave_no_lines_unless_they_fail(client, lines):
    client.get("/healthz")
    client.get("/livez")
    assert lines() == []
    client.app.state.runtime.lifecycle.drain()
    client.get("/readyz")
    assert [(line["status"], line["level"]) for line in lines()] == [(503, "info")], "a state and no error"


def test_what_the_service_is_to_blame_for_is_logged_as_an_error(starting, lines):
    for path in ("/sleep", "/fail", "/nowhere"):
        starting.post(path, json={"seconds": 0})
    assert [(line["status"], line["level"]) for line in lines()] == [(503, "error"), (500, "error"), (404, "info")]


def test_an_answer_that_is_cut_is_logged_and_counted_as_a_500(client, lines):
    async def cut() -> StreamingResponse:
        async def pieces():
            yield "the beginning"
            raise RuntimeError("a defect")

        return StreamingResponse(pieces())

    client.app.add_api_route("/cut", cut)
    with pytest.raises(RuntimeError, match="a defect"):
        client.get("/cut")
    assert [(line["status"], line["level"]) for line in lines()] == [(500, "error")]
    assert client.get("/metrics-simple").json()["by_status"] == {"500": 1}


def test_a_short_plain_request_id_is_taken_over(client):
    assert client.get("/livez", headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("given", ["", "a" * 129, 'a"b', "a b", "ä".encode(), "a\tb"])
def test_any_other_request_id_is_replaced(client, given):
    made = client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_every_answer_says_which_host_served_it(client, monkeypatch):
    answers = [client.get("/livez"), client.get("/nowhere"), client.post("/sleep", json={})]
    assert len({answer.headers["x-served-by"] for answer in answers}) == 1


def test_a_line_stays_one_line_whatever_is_in_it():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.emit(logging.makeLogRecord({"msg": "two\nlines \x1b[31m", "levelname": "INFO", "extra": object()}))
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["message"] == "two\nlines \x1b[31m"


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_passed_on_in_the_log_and_in_the_answer(client, lines):
    answer = client.post("/sleep", json={"seconds": 0}, headers={"traceparent": TRACE})
    assert answer.headers["traceparent"] == lines()[0]["traceparent"] == TRACE


@pytest.mark.parametrize(
    "given", ["", "00-x-y-01", TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), TRACE + "\t"]
)
def test_what_is_no_traceparent_is_dropped(client, lines, given):
    answer = client.post("/sleep", json={"seconds": 0}, headers={"traceparent": given})
    assert "traceparent" not in answer.headers
    assert "traceparent" not in lines()[0]
