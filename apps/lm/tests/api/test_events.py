"""The last event of a stream, the log and the metrics all say how it ended, although its status was 200."""

import asyncio
import dataclasses
import json
import logging
import re
import time
from collections import Counter
from typing import Any

import pytest

from apps.lm.engines.protocol import Engine
from apps.lm.model import LanguageModel
from apps.lm.tests.conftest import runtime_in, serving
from apps.serving.problems import Problem

SECRET = "the secret of a prompt"
DEFECT, FULL = RuntimeError(SECRET), Problem(503, "No room is left.")
OPENAI: dict[str, object] = {"model": "tiny-gpt2", "max_tokens": 20, "temperature": 0}
BODIES: dict[str, dict[str, object]] = {
    "/generate": {"prompt": "the fox", "max_new_tokens": 20},
    "/v1/completions": {"prompt": "the fox"} | OPENAI,
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "the fox"}]} | OPENAI,
}


@dataclasses.dataclass
class Breaking:
    """Generates a few tokens, then raises `error`; without one, hangs until it is cancelled."""

    engine: Engine
    error: Exception | None = None
    failure: str | None = None
    pause: Any = None  # nobody calls it

    def generate(self, request, receive, cancelled):
        first = dataclasses.replace(request, max_tokens=5)
        self.engine.generate(first, receive, cancelled)
        if self.error:
            raise self.error
        while not cancelled():
            time.sleep(0.005)


@pytest.fixture(scope="module")
def client(folders):
    with serving(folders["gpt2"], request_timeout_seconds=2) as client:
        yield client


@pytest.fixture
def breaking(client, monkeypatch):
    """Let the engine break in the middle of an answer; return the client."""

    def breaking(error=None, **changes):
        breaking_model = dataclasses.replace(model, engine=Breaking(model.engine, error), **changes)
        monkeypatch.setattr(runtime_in(client).lifecycle, "loaded", breaking_model)
        return client

    model: LanguageModel = runtime_in(client).model
    return breaking


@pytest.fixture(autouse=True)
def access(caplog):
    """Return the access log's records so far."""
    caplog.set_level(logging.INFO)
    return lambda: [record for record in caplog.records if record.name == "serving.access"]


def counts(client) -> Counter:
    """Requests so far: by status in /metrics-simple, by route and status in /metrics."""
    by_status = Counter(client.get("/metrics-simple").json()["by_status"])
    pattern = r'inference_requests_total{method="POST",route="(.*)",status="(\d+)"} (\d+)'
    return by_status + Counter({(r, s): int(n) for r, s, n in re.findall(pattern, client.get("/metrics").text)})


@pytest.mark.slow
@pytest.mark.parametrize("path", BODIES)
def test_at_the_deadline_an_answer_ends_with_what_it_has_and_says_so(breaking, access, caplog, path):
    client = breaking(answer_seconds=0)
    whole = client.post(path, json=BODIES[path])
    assert whole.status_code == 200
    body = whole.json()
    choice = body["choices"][0] if path != "/generate" else body
    assert body["usage"]["completion_tokens"] == 1
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", "deadline")

    streamed = client.post(path, json=BODIES[path] | {"stream": True})
    *pieces, last = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    choice = last["choices"][0] if path != "/generate" else last
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", "deadline")
    assert not any("stop_reason" in json.dumps(piece) for piece in pieces)
    assert [line.status for line in access()] == [200, 200]
    warnings = [record for record in caplog.records if record.message.startswith("an answer ended at the deadline")]
    assert [(record.tokens, record.max_tokens) for record in warnings] == [(1, 20)] * 2


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_that_ends_before_the_deadline_has_no_reason_beside_its_own(client, path):
    assert "stop_reason" not in client.post(path, json=BODIES[path]).text


@pytest.mark.parametrize(
    ("path", "error", "status"),
    [*((path, DEFECT, 500) for path in BODIES), *((path, FULL, 503) for path in BODIES)],
    ids=str,
)
def test_a_stream_that_breaks_ends_with_its_error_and_counts_as_failed(breaking, access, caplog, path, error, status):
    client = breaking(error)
    before = counts(client)
    answer = client.post(path, json=BODIES[path] | {"stream": True})
    assert answer.status_code == 200
    *pieces, last = answer.text.removesuffix("\n\n").removesuffix("\n\ndata: [DONE]").split("\n\n")
    content = json.loads(last.split("data: ", 1)[1])
    if path == "/generate":
        assert last.startswith("event: error\n") and content["status"] == status
    else:
        assert answer.text.endswith("\n\ndata: [DONE]\n\n")
        assert content["error"]["type"] == "server_error"
    assert pieces and SECRET not in answer.text

    (line,) = access()
    assert (line.status, line.levelname) == (status, "ERROR")
    assert counts(client) - before == {str(status): 1, (path, str(status)): 1}
    reasons = [record for record in caplog.records if record.exc_info]
    assert [record.request_id for record in reasons] == [line.request_id] * (status == 500)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_openais_client_raises_the_error_after_the_pieces(breaking, openai, path):
    client = openai.OpenAI(base_url="http://testserver/v1", api_key="none", max_retries=0, http_client=breaking(DEFECT))
    api: Any = {"/v1/completions": client.completions, "/v1/chat/completions": client.chat.completions}[path]
    pieces = []
    with pytest.raises(openai.APIError, match="The service failed"):
        pieces.extend(api.create(stream=True, **BODIES[path]))
    assert pieces


@pytest.mark.parametrize("path", BODIES)
def test_a_whole_answer_that_breaks_is_a_problem_with_the_same_status(breaking, access, path):
    answer = breaking(DEFECT).post(path, json=BODIES[path])
    assert (answer.status_code, access()[0].status) == (500, 500)
    assert SECRET not in answer.text


def test_a_complete_stream_is_a_200(client, access):
    before = counts(client)
    client.post("/generate", json=BODIES["/generate"] | {"stream": True})
    assert (access()[0].status, access()[0].levelname) == (200, "INFO")
    assert counts(client) - before == {"200": 1, ("/generate", "200"): 1}


def test_a_client_that_disconnects_in_the_middle_is_a_499(breaking, access):
    client = breaking()
    body, left = json.dumps(BODIES["/generate"] | {"stream": True}).encode(), asyncio.Event()
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/generate",
        "headers": [(b"content-type", b"application/json")],
    }
    scope |= {"query_string": b"", "asgi": {"spec_version": "2.3"}}
    unread = [{"type": "http.request", "body": body}]

    async def receive():
        if unread:
            return unread.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body"):
            left.set()

    async def leave():
        async with asyncio.timeout(10):
            await client.app(scope, receive, send)

    before = counts(client)
    client.portal.call(leave)
    assert (access()[0].status, access()[0].levelname) == (499, "INFO")
    assert counts(client) - before == {"499": 1, ("/generate", "499"): 1}
