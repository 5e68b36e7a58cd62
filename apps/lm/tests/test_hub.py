"""Models from the hub are fetched once, at the revision that was set, and then found without a network."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.lm.tests import hub_stand_in, process, tiny
from apps.lm.tests.hub_stand_in import REPOSITORY
from apps.serving.tests.processes import ROOT

pytestmark = pytest.mark.service
OLD, NEW = "a" * 40, "b" * 40
FETCH = "import sys; from apps.lm import hub; print(hub.fetch(*sys.argv[1:]))"


@pytest.fixture(scope="module")
def commits(tmp_path_factory):
    """Two commits of a repository, of different families, so that they cannot be confused."""
    return {
        OLD: tiny.save("gpt2", tmp_path_factory.mktemp("old")),
        NEW: tiny.save("llama", tmp_path_factory.mktemp("new")),
    }


@pytest.fixture
def hub(commits):
    with hub_stand_in.running(commits, main=NEW) as hub:
        yield hub


@pytest.fixture
def fetch(tmp_path):
    """Fetch into an empty cache in a process of its own; return the completed process."""

    def fetch(hub_url: str, revision: str, repository: str = REPOSITORY):
        variables = process.environment(hf_endpoint=hub_url, hf_home=tmp_path / "cache")
        command = [sys.executable, "-c", FETCH, repository, revision]
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)

    return fetch


def test_a_hub_id_is_downloaded_served_and_found_again_without_a_network(commits, tmp_path):
    settings = {"model_name": REPOSITORY, "model_revision": OLD, "hf_home": tmp_path / "cache"}
    answers = []
    with hub_stand_in.running(commits, main=NEW) as hub:
        settings["hf_endpoint"] = hub.url
        with process.serving(**settings) as service:
            answers.append(_answer(service))
        assert f"GET /{REPOSITORY}/resolve/{OLD}/model.safetensors" in hub.requests
    with process.serving(**settings) as service:
        answers.append(_answer(service))
    first, second = answers
    assert first == second
    model, answer = first
    assert (model["name"], model["version"], model["sha256"], model["revision"]) == (REPOSITORY, OLD, None, OLD)
    assert answer["model_version"] == OLD
    assert answer["usage"]["completion_tokens"] == 5


def _answer(service) -> tuple[dict, dict]:
    with process.client(service) as client:
        answer = client.post("/generate", json={"prompt": "the fox", "max_new_tokens": 5}).json()
        del answer["timings"]
        return client.get("/healthz").json()["model"], answer


@pytest.mark.parametrize(("revision", "commit"), [("main", NEW), (NEW, NEW), (OLD, OLD)])
def test_the_revision_decides_which_commit_is_fetched(hub, fetch, revision, commit, commits):
    result = fetch(hub.url, revision)
    assert result.stdout.strip().endswith(f"/snapshots/{commit}")
    with open(f"{result.stdout.strip()}/config.json") as file:
        assert json.load(file)["model_type"] == {OLD: "gpt2", NEW: "llama"}[commit]


def test_a_commit_that_is_cached_makes_no_request(hub, fetch):
    fetch(hub.url, OLD)
    hub.requests.clear()
    assert fetch(hub.url, OLD).returncode == 0
    assert hub.requests == []


def test_a_branch_that_is_cached_is_found_while_the_hub_is_unreachable(commits, fetch):
    with hub_stand_in.running(commits, main=NEW) as hub:
        fetch(hub.url, "main")
    assert fetch(hub.url, "main").stdout.strip().endswith(f"/snapshots/{NEW}")


def test_an_interrupted_download_is_completed_at_the_next_start(hub, fetch):
    weights = Path(fetch(hub.url, OLD).stdout.strip(), "model.safetensors")
    weights.unlink()
    assert fetch(hub.url, OLD).returncode == 0
    assert weights.is_file()


def test_only_what_is_needed_is_downloaded(hub, fetch, commits):
    for name in ("README.md", "pytorch_model.bin", "flax_model.msgpack"):
        (commits[OLD] / name).write_text("not needed")
    fetch(hub.url, OLD)
    assert not [line for line in hub.requests if line.endswith((".md", ".bin", ".msgpack"))]


def test_a_repository_with_weights_only_in_a_pickle_is_refused_without_a_download_of_it(fetch, commits, tmp_path):
    folder = shutil.copytree(commits[OLD], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with hub_stand_in.running({OLD: folder}, main=OLD) as hub:
        result = fetch(hub.url, OLD)
    assert f"'{REPOSITORY}' at revision '{OLD}' has no *.safetensors." in result.stderr.splitlines()[-1]
    assert not [line for line in hub.requests if line.endswith(".bin")]


@pytest.mark.parametrize(
    ("repository", "revision", "message"),
    [
        (REPOSITORY, "c" * 40, f"The hub has no '{REPOSITORY}' at revision '{'c' * 40}'. Correct MODEL_REVISION."),
        (REPOSITORY, "v9", f"The hub has no '{REPOSITORY}' at revision 'v9'. Correct MODEL_REVISION."),
        ("someone/else", "main", "has no 'someone/else', or not for everyone. Correct MODEL_NAME"),
        ("not/a/hub/id", "main", "MODEL_NAME='not/a/hub/id' is neither a folder nor a hub id"),
    ],
)
def test_what_the_hub_does_not_have_is_reported_in_one_line_with_the_remedy(hub, fetch, repository, revision, message):
    result = fetch(hub.url, revision, repository)
    assert message in result.stderr.splitlines()[-1]


def test_an_unreachable_hub_ends_the_process_with_one_line(tmp_path):
    settings = {"hf_endpoint": "http://127.0.0.1:9", "hf_home": tmp_path / "cache"}
    with process.starting(model_name=REPOSITORY, **settings) as service:
        assert service.wait(process.SECONDS) == 1
    (line,) = [line for line in service.log if line["level"] == "error"]
    assert "could not be fetched from http://127.0.0.1:9" in line["message"]
    assert "Check the network, the disk, HF_ENDPOINT and HF_HOME." in line["message"]
