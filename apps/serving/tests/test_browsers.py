"""What browsers ask for beside GET and POST: HEAD, CORS for pages of other origins, and no answer to a rebound name."""

import httpx
import pytest
from starlette.testclient import TestClient

from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.settings import SettingsError, read_settings
from apps.serving.tests.processes import running
from apps.serving.tests.toy import ToyService, ToySettings

ORIGIN = "https://app.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-stainless-os"}
CHANGES = {"date", "x-request-id", "content-length"}
COUNTING = {"/health", "/healthz", "/readyz", "/metrics", "/metrics-simple"}  # what they say differs each time


@pytest.fixture
def serving():
    """Make a client of a ready toy with given settings."""

    def make(**settings: object) -> TestClient:
        app = create_app(ToyService(), ToySettings(**settings))
        client = TestClient(app, raise_server_exceptions=False)
        clients.append(client.__enter__())
        client.portal.call(startup.load, app.state.runtime)
        return client

    clients: list[TestClient] = []
    yield make
    for client in clients:
        client.__exit__()


@pytest.mark.service
def test_head_is_answered_wherever_get_is_with_the_same_headers_and_no_body():
    with running("apps.serving.tests.toy") as process, httpx.Client(base_url=process.url) as client:
        operations = client.get("/openapi.json").json()["paths"]
        paths = [path for path, methods in operations.items() if "get" in methods]
        assert len(paths) > 5
        for path in [*paths, "/docs", "/docs/swagger-ui-bundle.js", "/openapi.json", "/health"]:
            got, headed = client.get(path), client.head(path)
            assert (headed.status_code, headed.content) == (200, b"")
            length = int(headed.headers["content-length"])
            assert length == len(got.content) or (path in COUNTING and length > 0)
            same = [{k: v for k, v in a.headers.items() if k not in CHANGES} for a in (got, headed)]
            assert same[0] == same[1]


def test_a_method_that_a_path_does_not_take_is_told_all_that_it_takes(client):
    answer = client.post("/livez")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["detail"] == "/livez does not take POST. Use GET or HEAD."
    assert client.head("/sleep").headers["allow"] == "POST"


def test_without_a_setting_no_other_origin_may_read_an_answer(serving):
    client, headers = serving(), {"Origin": ORIGIN}
    answers = client.get("/livez", headers=headers), client.options("/sleep", headers=headers | PREFLIGHT)
    assert [answer.status_code for answer in answers] == [200, 405]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("setting, told", [(f"{ORIGIN},http://localhost:3000", ORIGIN), ("*", "*")])
def test_a_page_of_an_allowed_origin_may_ask_and_read_errors_too(serving, setting, told):
    client, headers = serving(cors_origins=setting), {"Origin": ORIGIN}
    preflight = client.options("/sleep", headers=headers | PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == told
    assert preflight.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
    assert preflight.headers["x-request-id"]
    bodies = ("/sleep", {"seconds": 0}), ("/sleep", {}), ("/fail", {})
    answers = [client.post(path, json=body, headers=headers) for path, body in bodies]
    assert [answer.status_code for answer in answers] == [200, 422, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == told
        assert answer.headers["access-control-expose-headers"] == "X-Request-ID, Retry-After"


def test_a_page_of_another_origin_may_not(serving):
    client, headers = serving(cors_origins=ORIGIN), {"Origin": "https://evil.example"}
    assert client.options("/sleep", headers=headers | PREFLIGHT).status_code == 400
    assert "access-control-allow-origin" not in client.get("/livez", headers=headers).headers


@pytest.mark.parametrize("host", ["toy.example.org", "TOY.example.org:8443", "a.b.test", "[::1]:8000", "127.0.0.1."])
def test_a_host_that_is_allowed_is_served(serving, host):
    client = serving(allowed_hosts="toy.example.org,*.test,[::1],127.0.0.1:8000")
    assert client.post("/sleep", json={"seconds": 0}, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "toy.example.org.evil.example", "test", "xtest", "", "[::1"])
def test_any_other_host_gets_a_problem_and_probes_are_exempt(serving, host):
    client = serving(allowed_hosts="toy.example.org,*.test", cors_origins="*")
    answer = client.post("/sleep", json={"seconds": 0}, headers={"Host": host, "Origin": ORIGIN})
    assert answer.status_code == 421
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["detail"] == (
        f"Host {host!r} is not among ALLOWED_HOSTS. Use a name that is, or add this one."
    )
    for path in ("/livez", "/readyz", "/healthz", "/health", "/metrics", "/metrics-simple"):
        assert client.get(path, headers={"Host": host}).status_code == 200


ORIGINS = "give origins as https://app.example.org, without a path, separated by commas; or *"
NAMES = "give names as app.example.org or *.example.org, separated by commas"


@pytest.mark.parametrize(
    "variable, value, rule",
    [
        ("CORS_ORIGINS", "app.example.org", ORIGINS),
        ("CORS_ORIGINS", "https://app.example.org/", ORIGINS),
        ("ALLOWED_HOSTS", "https://app.example.org", NAMES),
        ("ALLOWED_HOSTS", "a.*.org", NAMES),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_remedy(monkeypatch, variable, value, rule):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        read_settings(ToySettings)
    assert str(error.value) == f"{variable}={value!r}: {rule}."
