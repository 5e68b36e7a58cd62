"""Checks of every service's page: it needs no other origin, and its policy allows none."""

import re

import httpx

from apps.serving.http.page import PATHS, TYPES


def is_complete(client: httpx.Client) -> None:
    """Fail unless each file is served with the policy, names no other origin and has the elements its script uses."""
    texts = {path: _served(client, path) for path in PATHS}
    assert not any(re.search(r"https?://|//cdn|@import|url\(", text) for text in texts.values())
    document, script = texts["/"], texts["/page.js"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", document), "something is inline"
    for reference in re.findall(r'(?:src|href)="([^"]+)"', document):
        assert reference == "data:," or client.get(f"/{reference}").status_code == 200
    used = set(re.findall(r'element\("(\w+)"\)', script))
    assert len(used) > 5
    assert used <= set(re.findall(r'id="(\w+)"', document))


def _served(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[PATHS[path].rpartition(".")[2]])
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[key] for key in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.text
