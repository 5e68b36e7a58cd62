"""The page at /: complete by itself, and bound to be so by its policy."""

import re

import pytest

from apps.classifier.page import PATHS


@pytest.mark.parametrize("path", PATHS)
def test_its_files_are_served_with_a_policy_that_allows_only_this_origin(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == PATHS[path][1]
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[key] for key in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_it_names_no_other_origin_and_runs_nothing_inline(client):
    texts = {path: client.get(path).text for path in PATHS}
    assert not any(re.search(r"https?://|//cdn|@import|url\(", text) for text in texts.values())
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", texts["/"])
    for reference in re.findall(r'(?:src|href)="([^"]+)"', texts["/"]):
        assert reference == "data:," or client.get(f"/{reference}").status_code == 200


def test_every_element_that_the_script_asks_for_is_on_the_page(client):
    script, document = client.get("/page.js").text, client.get("/").text
    asked = set(re.findall(r'element\("(\w+)"\)', script))
    assert len(asked) > 5
    assert asked <= set(re.findall(r'id="(\w+)"', document))
