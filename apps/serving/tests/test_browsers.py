"""HEAD requests, CORS for pages of other origins, and the check of Host against DNS rebinding."""

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
CHANGING_HEADERS = {"date", "x-request-id", "content-length"}
CHANGING = {"/health", "/healthz", "/readyz", "/metrics", "/metrics-simple"}  # paths whose response changes each time


@pytest.fixture
def serving():
    """Return a function that makes a client of a ready toy service from settings."""

    def make(**settings):
        app = create_app(ToyService(), ToySettings(**settings))
        client = TestClient(app, raise_server_exceptions=False)
        clients.append(client.__enter__())
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        return client

    clients: list[TestClient] = []
    yield make
    for client in clients:
        client.__exit__()


@pytest.mark.service
def test_head_is_answered_where_get_is_with_the_same_headers_and_no_body():
    with running("apps.serving.tests.toy") as process, httpx.Client(base_url=process.url) as client:
        operations = client.get("/openapi.json").json()["paths"]
        paths = [path for path, methods in operations.items() if "get" in methods]
        assert len(paths) > 5
        for path in [*paths, "/docs", "/docs/swagger-ui-bundle.js", "/openapi.json", "/health"]:
            get, head = client.get(path), client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            length = int(head.headers["content-length"])
            assert length == len(get.content) or (path in CHANGING and length > 0)
            same = [{k: v for k, v in a.headers.items() if k not in CHANGING_HEADERS} for a in (get, head)]
            assert same[0] == same[1]


def test_405_names_all_methods_that_the_path_accepts(client):
    answer = client.post("/livez")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["detail"] == "/livez does not take POST. Use GET or HEAD."
    assert client.head("/sleep").headers["allow"] == "POST"


def test_by_default_no_other_origin_may_read_a_response(serving):
    client, headers = serving(), {"Origin": ORIGIN}
    answers = client.get("/livez", headers=headers), client.options("/sleep", headers=headers | PREFLIGHT)
    assert [answer.status_code for answer in answers] == [200, 405]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("setting, allowed_origin", [(f"{ORIGIN},http://localhost:3000", ORIGIN), ("*", "*")])
def test_a_page_of_an_allowed_origin_may_send_requests_and_read_errors(serving, setting, allowed_origin):
    client, headers = serving(cors_origins=setting), {"Origin": ORIGIN}
    preflight = client.options("/sleep", headers=headers | PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == allowed_origin
    assert preflight.headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
    assert preflight.headers["x-request-id"]
    requests: list[tuple[str, object]] = [("/sleep", {"seconds": 0}), ("/sleep", {}), ("/fail", {})]
    answers = [client.post(path, json=body, headers=headers) for path, body in requests]
    assert [answer.status_code for answer in answers] == [200, 422, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == allowed_origin
        assert answer.headers["access-control-expose-headers"] == "X-Request-ID, Retry-After"


def test_a_page_of_another_origin_may_not_send_requests(serving):
    client, headers = serving(cors_origins=ORIGIN), {"Origin": "https://evil.example"}
    assert client.options("/sleep", headers=headers | PREFLIGHT).status_code == 400
    assert "access-control-allow-origin" not in client.get("/livez", headers=headers).headers


@pytest.mark.parametrize("host", ["toy.example.org", "TOY.example.org:8443", "a.b.test", "[::1]:8000", "127.0.0.1."])
def test_an_allowed_host_is_served(serving, host):
    client = serving(allowed_hosts="toy.example.org,*.test,[::1],127.0.0.1:8000")
    assert client.post("/sleep", json={"seconds": 0}, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "toy.example.org.evil.example", "test", "xtest", "", "[::1"])
def test_any_other_host_gets_a_421_problem_except_for_probes(serving, host):
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
def test_a_mistake_in_the_settings_is_reported_with_its_remedy(monkeypatch, variable, value, rule):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        read_settings(ToySettings)
    assert str(error.value) == f"{variable}={value!r}: {rule}."
