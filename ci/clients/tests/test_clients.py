"""Each real client does what its script checks, against a running service."""

from pathlib import Path

import pytest

from apps.lm.tests import process
from ci.clients.__main__ import BEGIN, END, HEAD, README, row, written
from ci.clients.client import Check
from ci.clients.clients import CLIENTS

FULL = [pytest.mark.service, pytest.mark.full]
BUDGET = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small model with a chat template and an end token."""
    from apps.lm.tests import tiny  # imports torch, which takes seconds, and the unit tests here do without

    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2_v1"
    return tiny.publish(tiny.save("gpt2", folder, eos=0, context=BUDGET))


@pytest.fixture(scope="module")
def service(folder):
    with process.serving(model_name=folder, max_total_tokens=BUDGET) as service:
        yield service


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name, marks=FULL) for client in CLIENTS])
def test_every_check_of_the_client_succeeds(client, service, folder):
    client.install()
    checks = client.ask(service.url, "tiny-gpt2", folder)
    failed = [f"{check['check']}: {check['error']}" for check in checks if check["error"]]
    assert not failed, "\n".join(failed)


def test_the_readme_lists_every_client_with_its_version():
    rows = README.read_text()
    assert not [client.name for client in CLIENTS if f"| {client.name} | `{' '.join(client.packages)}` |" not in rows]


def test_a_row_says_what_works_and_what_does_not_and_replaces_the_one_before():
    checks: list[Check] = [{"check": "chats", "error": None}, {"check": "embeddings", "error": "refused"}]
    first, second = CLIENTS[:2]
    line = row(first, checks)
    assert line == f"| {first.name} | `{' '.join(first.packages)}` | chats | embeddings |\n"
    text = written(f"a\n{BEGIN}{HEAD}{row(second, checks)}{END}b\n", {first.name: row(first, checks[:1])})
    assert written(text, {first.name: line}) == f"a\n{BEGIN}{HEAD}{line}{row(second, checks)}{END}b\n"
