"""The access log has one line per request, with its id and nothing of its content."""

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
    """Return a function that returns the access log lines so far."""
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


def test_an_unknown_path_is_logged_as_unmatched(client, lines):
    client.get("/wp-admin/secret")
    assert lines()[0]["path"] == "unmatched"


def test_the_content_of_a_request_is_never_logged(client, caplog):
    caplog.set_level(logging.DEBUG)
    client.post("/sleep", json={"seconds": SECRET})
    client.post("/sleep", json={"seconds": f"{SECRET}"})
    formatter = JsonFormatter()
    assert caplog.records
    assert not any(str(SECRET) in formatter.format(record) for record in caplog.records)


def test_probes_are_logged_only_when_they_fail(client, lines):
    client.get("/healthz")
    client.get("/livez")
    assert lines() == []
    client.app.state.runtime.lifecycle.drain()
    client.get("/readyz")
    assert [(line["status"], line["level"]) for line in lines()] == [(503, "info")], "a state and no error"


def test_a_5xx_is_logged_as_an_error_and_a_4xx_is_not(starting, lines):
    for path in ("/sleep", "/fail", "/nowhere"):
        starting.post(path, json={"seconds": 0})
    assert [(line["status"], line["level"]) for line in lines()] == [(503, "error"), (500, "error"), (404, "info")]


def test_a_stream_that_fails_midway_is_logged_and_counted_as_a_500(client, lines):
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


def test_a_short_plain_request_id_is_kept(client):
    assert client.get("/livez", headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("request_id", ["", "a" * 129, 'a"b', "a b", "ä".encode(), "a\tb"])
def test_any_other_request_id_is_replaced(client, request_id):
    response = client.get("/livez", headers={"x-request-id": request_id})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


def test_every_response_names_the_host_that_served_it(client, monkeypatch):
    answers = [client.get("/livez"), client.get("/nowhere"), client.post("/sleep", json={})]
    assert len({answer.headers["x-served-by"] for answer in answers}) == 1


def test_a_log_record_is_one_line_even_if_its_message_has_several():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.emit(logging.makeLogRecord({"msg": "two\nlines \x1b[31m", "levelname": "INFO", "extra": object()}))
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["message"] == "two\nlines \x1b[31m"


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_traceparent_is_logged_and_returned(client, lines):
    answer = client.post("/sleep", json={"seconds": 0}, headers={"traceparent": TRACE})
    assert answer.headers["traceparent"] == lines()[0]["traceparent"] == TRACE


@pytest.mark.parametrize(
    "traceparent", ["", "00-x-y-01", TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), TRACE + "\t"]
)
def test_an_invalid_traceparent_is_dropped(client, lines, traceparent):
    answer = client.post("/sleep", json={"seconds": 0}, headers={"traceparent": traceparent})
    assert "traceparent" not in answer.headers
    assert "traceparent" not in lines()[0]
