"""Every error is a problem of RFC 9457 that gives the value, the rule and the remedy."""

import json

import pytest
from starlette.testclient import TestClient

from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.http.body import SEND_JSON
from apps.serving.tests.toy import ToyService, ToySettings

JSON = {"content-type": "application/json"}
DEEP = b'{"seconds":' + b"[" * 5000 + b"]" * 5000 + b"}"
CASES = {
    "unknown path": ("GET", "/nowhere", {}, b"", 404, "There is nothing at /nowhere. /docs lists what there is."),
    "trailing slash": ("POST", "/sleep/", JSON, b"{}", 404, "There is nothing at /sleep/."),
    "wrong method": ("GET", "/sleep", {}, b"", 405, "/sleep does not take GET. Use POST."),
    "wrong type": ("POST", "/sleep", {"content-type": "text/csv"}, b"1", 415, f"'text/csv' is not read. {SEND_JSON}"),
    "form": ("POST", "/sleep", {"content-type": "application/x-www-form-urlencoded"}, b"{}", 415, SEND_JSON),
    "multipart": ("POST", "/sleep", {"content-type": "multipart/form-data; boundary=x"}, b"{}", 415, SEND_JSON),
    "plain text": ("POST", "/sleep", {"content-type": "text/plain"}, b'{"seconds": 0}', 415, SEND_JSON),
    "no type": ("POST", "/sleep", {}, b'{"seconds": 0}', 415, f"The body has no Content-Type. {SEND_JSON}"),
    "compressed": ("POST", "/sleep", {**JSON, "content-encoding": "gzip"}, b"1", 415, "Send the body as it is."),
    "no JSON": ("POST", "/sleep", JSON, b"{", 400, "The body is not JSON that can be read"),
    "no body": ("POST", "/sleep", JSON, b"", 400, f"The body is empty. {SEND_JSON}"),
    "blank body": ("POST", "/sleep", JSON, b" \n", 400, "The body is empty."),
    "UTF-16": ("POST", "/sleep", JSON, "{}".encode("utf-16"), 400, "The body is in UTF-16 or UTF-32. Send UTF-8."),
    "UTF-16 without BOM": ("POST", "/sleep", JSON, "{}".encode("utf-16-be"), 400, "The body is in UTF-16 or UTF-32."),
    "no UTF-8": ("POST", "/sleep", JSON, b'{"\xff": 1}', 400, "The body is not JSON that can be read"),
    "deep JSON": ("POST", "/sleep", JSON, DEEP, 400, "recursion limit"),
    "no object": ("POST", "/sleep", JSON, b"[1]", 422, "#: Input should be an object."),
    "wrong field": ("POST", "/sleep", JSON, b'{"seconds": "1"}', 422, "#/seconds: Input should be a valid number."),
    "missing field": ("POST", "/sleep", JSON, b"{}", 422, "#/seconds: is required."),
    "large body": ("POST", "/sleep", JSON, b" " * 2000, 413, "The body exceeds 1000 bytes (MAX_BODY_BYTES)."),
    "defect": ("POST", "/fail", JSON, b"{}", 500, "The request id finds the reason in its log."),
}


@pytest.fixture
def client():
    app = create_app(ToyService(), ToySettings(max_body_bytes=1000))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        yield client


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_a_problem_with_the_rule(client, name):
    method, path, headers, body, status, text = CASES[name]
    if name == "deep JSON":
        client.app.state.runtime.settings.__dict__["max_body_bytes"] = len(DEEP)
    answer = client.request(method, path, headers=headers, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert text in problem["detail"]
    assert (problem["status"], problem["type"], problem["model_version"]) == (status, "about:blank", "v1")
    assert problem["title"] and problem["instance"] == path
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_all_mistakes_of_a_request_are_reported_at_once_with_their_places(client):
    answer = client.post("/sleep", json={"seconds": -1, "minutes/hours": 2})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "#/seconds", "detail": "Input should be greater than or equal to 0."},
        {"pointer": "#/minutes~1hours", "detail": "is not known here; remove it or correct its name."},
    ]
    assert answer.json()["detail"] == (
        "#/seconds: Input should be greater than or equal to 0. "
        "#/minutes~1hours: is not known here; remove it or correct its name."
    )


def test_a_problem_lists_at_most_twenty_mistakes_and_its_detail_three(client):
    answer = client.post("/sleep", json={str(number): 0 for number in range(50)})
    errors = answer.json()["errors"]
    assert len(errors) == 20
    texts = [f"{error['pointer']}: {error['detail']}" for error in errors[:3]]
    assert answer.json()["detail"] == " ".join([*texts, "(3 of more than 20 mistakes.)"])


@pytest.mark.parametrize("media_type", ["Application/JSON", "application/json; charset=utf-8", "application/ld+json"])
def test_json_is_read_with_each_of_its_media_types_and_a_byte_order_mark(client, media_type):
    answer = client.post("/sleep", content=b'\xef\xbb\xbf{"seconds": 0}', headers={"content-type": media_type})
    assert answer.status_code == 200


def test_an_unexpected_error_is_in_the_log_and_hidden_from_the_client(client, caplog):
    answer = client.post("/fail")
    assert "secret" not in answer.text and "Traceback" not in answer.text
    (record,) = [record for record in caplog.records if record.name == "serving.error"]
    assert record.request_id == answer.headers["x-request-id"]
    assert "the secret /path" in str(record.exc_info[1])


def test_a_body_of_unknown_length_is_read_up_to_the_limit(client):
    sizes: list[int] = []

    def endless():
        while len(sizes) < 1000:
            sizes.append(100)
            yield b"x" * 100

    app, sent = client.app, []
    chunks = endless()

    async def receive():
        return {"type": "http.request", "body": next(chunks), "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/sleep", "headers": headers, "query_string": b""}
    client.portal.call(app, {**scope, "root_path": "", "http_version": "1.1"}, receive, send)
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["status"] == 413
    assert sum(sizes) <= 1100


def test_a_content_length_over_the_limit_is_refused_before_the_body_is_read(client):
    async def receive():
        raise AssertionError("the body was read")

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1001")]
    scope = {"type": "http", "method": "POST", "path": "/sleep", "headers": headers, "query_string": b""}
    client.portal.call(client.app, {**scope, "root_path": "", "http_version": "1.1"}, receive, send)
    assert sent[0]["status"] == 413
