"""/docs works where there is no internet, also behind a proxy's prefix, and asks nobody else for anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from playwright.sync_api import expect

from apps.serving.http import docs, page
from apps.serving.tests.browser import chromium, complaints, open_page
from apps.serving.tests.processes import running

HEALTHZ = "#operations-health-healthz_healthz_get"


@contextmanager
def proxy(port: int, prefix: str) -> Iterator[str]:
    """A gateway that serves 127.0.0.1:`port` below `prefix`, and says so."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.startswith(prefix), self.path
            headers = {**self.headers, "X-Forwarded-Prefix": prefix}
            answer = httpx.get(f"http://127.0.0.1:{port}{self.path.removeprefix(prefix)}", headers=headers)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
        server.shutdown()


@pytest.mark.parametrize("path", docs.FILES)
def test_each_file_is_served_under_a_policy_that_allows_only_this_origin(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == page.POLICY
    assert len(answer.content) > 200


@pytest.mark.service
def test_a_person_reads_and_tries_the_operations_behind_a_prefix():
    with running("apps.serving.tests.toy") as toy, proxy(toy.port, "/team/toy") as url, chromium() as browser:
        page = open_page(browser, f"{url}/docs")
        operation = page.locator(HEALTHZ)
        for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
            operation.locator(button).click()
        expect(operation.locator(".live-responses-table .response")).to_contain_text('"status": "ready"')
        assert operation.locator(".request-url").inner_text().split()[-1] == f"{url}/healthz"
        assert complaints(page) == []


def test_the_document_names_the_path_that_the_proxy_serves_it_under(client):
    assert client.get("/openapi.json", headers={"X-Forwarded-Prefix": "/team/toy/"}).json()["servers"] == [
        {"url": "/team/toy"}
    ]
    client.app.root_path = "/mounted"
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/mounted"}]


@pytest.mark.parametrize("prefix", ["//evil.example", "https://evil.example", "/a/..", "/a b", "/a?b", "x", "/x" * 101])
def test_a_prefix_that_is_no_plain_path_is_ignored(client, prefix):
    assert "servers" not in client.get("/openapi.json", headers={"X-Forwarded-Prefix": prefix}).json()
