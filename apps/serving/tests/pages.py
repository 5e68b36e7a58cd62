"""Checks of every service's page: it needs no other origin, and its policy allows none."""

import re
from pathlib import Path

import httpx

from apps.serving.http.page import TYPES, paths


def is_complete(client: httpx.Client, folder: Path) -> None:
    """Fail unless each file is served with the policy, names no other origin and has the elements its scripts use."""
    texts = {path: _served(client, path, file.suffix) for path, file in paths(folder).items()}
    assert not any(re.search(r"https?://|//cdn|@import|url\(", text) for text in texts.values())
    document, script = texts["/"], "".join(text for path, text in texts.items() if path.endswith(".js"))
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", document), "something is inline"
    for reference in re.findall(r'(?:src|href)="([^"]+)"', document):
        assert reference == "data:," or client.get(f"/{reference}").status_code == 200
    used = set(re.findall(r'element\("(\w+)"\)', script))
    assert len(used) > 5
    assert used <= set(re.findall(r'id="(\w+)"', document))


def _served(client: httpx.Client, path: str, suffix: str) -> str:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[suffix.removeprefix(".")])
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[key] for key in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.text
